package extract

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
)

var paceStart = time.Date(2026, 3, 14, 12, 0, 7, 300_000_000, time.UTC)

// A limitedSource accepts a call or refuses it.
type limitedSource func(at time.Time) bool

// fixedWindows accepts calls in each window that begins at a whole multiple of its length.
func fixedWindows(calls int, length time.Duration) limitedSource {
	var window time.Time
	left := 0
	return func(at time.Time) bool {
		if w := at.Truncate(length); !w.Equal(window) {
			window, left = w, calls
		}
		left--
		return left >= 0
	}
}

// slidingWindow accepts calls while fewer were accepted in the time before.
func slidingWindow(calls int, length time.Duration) limitedSource {
	var accepted []time.Time
	return func(at time.Time) bool {
		accepted = slices.DeleteFunc(accepted, func(t time.Time) bool { return at.Sub(t) >= length })
		if len(accepted) >= calls {
			return false
		}
		accepted = append(accepted, at)
		return true
	}
}

// tokenBucket accepts calls while it has tokens.
func tokenBucket(calls int, length time.Duration, burst int) limitedSource {
	bucket := rate.NewLimiter(rate.Limit(float64(calls)/length.Seconds()), burst)
	return func(at time.Time) bool { return bucket.AllowN(at, 1) }
}

// A paced call of a simulation.
type simulated struct {
	at       time.Duration // after the start
	accepted bool
}

// simulate lets workers call a source as often as the pace allows. An answer takes some
// time, and reaches the source after half of it.
func simulate(p *pace, source limitedSource, workers int, latency, duration time.Duration) (calls []simulated) {
	silent := func(time.Time) (time.Duration, []namedLimit) { return 0, nil }
	return simulateAnswers(p, source, silent, workers, latency, duration)
}

// simulateAnswers is simulate with a source whose refusals ask for pauses or name limits.
func simulateAnswers(p *pace, source limitedSource, says func(time.Time) (time.Duration, []namedLimit), workers int, latency, duration time.Duration) (calls []simulated) {
	type flight struct {
		call     *pacedCall
		ends     time.Time
		accepted bool
	}
	now, end := paceStart, paceStart.Add(duration)
	var flights []flight
	var resting []time.Time // refused calls, until they may be made again
	for waited := false; now.Before(end); {
		free := workers - len(flights) - len(resting)
		delay, forAnswer := p.delay(now)
		if free > 0 && !forAnswer && delay <= 0 {
			accepted := source(now.Add(latency / 2))
			flights = append(flights, flight{p.start(now, waited), now.Add(latency), accepted})
			calls = append(calls, simulated{now.Sub(paceStart), accepted})
			waited = false
			continue
		}
		next := end
		if free > 0 && !forAnswer {
			next, waited = now.Add(delay), p.refusals == 0
		}
		for _, f := range flights {
			if f.ends.Before(next) {
				next = f.ends
			}
		}
		for _, r := range resting {
			if r.Before(next) {
				next = r
			}
		}
		now = next
		resting = slices.DeleteFunc(resting, func(r time.Time) bool { return !r.After(now) })
		flights = slices.DeleteFunc(flights, func(f flight) bool {
			if f.ends.After(now) {
				return false
			}
			if f.accepted {
				p.accepted(f.call, now)
			} else {
				asked, named := says(now)
				p.refuse(f.call, now, asked, named)
				p.hold(now.Add(asked))
				if now.Sub(p.latest) > time.Second {
					asked = max(asked, minThrottlePause)
				}
				if asked > 0 {
					resting = append(resting, now.Add(asked))
				}
			}
			p.ended(f.call)
			return true
		})
	}
	return calls
}
