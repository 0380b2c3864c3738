package extract

import (
	"testing"
	"time"
)

// tally counts the calls of a time that were accepted, and those that were refused.
func tally(calls []simulated, from, to time.Duration) (accepted, refused int) {
	for _, c := range calls {
		switch {
		case c.at < from || c.at >= to:
		case c.accepted:
			accepted++
		default:
			refused++
		}
	}
	return accepted, refused
}

// After one 429 to the very first call, the source accepts in the first ten seconds at
// least 80% of the calls that it allows. A limit of a minute allows all of them at once,
// or one after the other. In the ten minutes after the first one, the pace uses at least
// 80% of the limit, and fewer than one call in 20 is refused.
func TestPace(t *testing.T) {
	t.Parallel()
	const perSecond, perMinute = 1, 60
	for name, c := range map[string]struct {
		source      func() limitedSource
		calls, unit int
		burst       int // what the source allows at once
	}{
		"20 a second, fixed":         {func() limitedSource { return fixedWindows(20, time.Second) }, 20, perSecond, 0},
		"20 a second, sliding":       {func() limitedSource { return slidingWindow(20, time.Second) }, 20, perSecond, 0},
		"20 a second, bucket":        {func() limitedSource { return tokenBucket(20, time.Second, 20) }, 20, perSecond, 0},
		"20 a second, bucket of one": {func() limitedSource { return tokenBucket(20, time.Second, 1) }, 20, perSecond, 0},
		"20 a second, bucket of 100": {func() limitedSource { return tokenBucket(20, time.Second, 100) }, 20, perSecond, 0},
		"100 a second, fixed":        {func() limitedSource { return fixedWindows(100, time.Second) }, 100, perSecond, 0},
		"100 a second, sliding":      {func() limitedSource { return slidingWindow(100, time.Second) }, 100, perSecond, 0},
		"100 a second, bucket":       {func() limitedSource { return tokenBucket(100, time.Second, 10) }, 100, perSecond, 0},
		"5 a second, fixed":          {func() limitedSource { return fixedWindows(5, time.Second) }, 5, perSecond, 0},
		"5 a second, bucket":         {func() limitedSource { return tokenBucket(5, time.Second, 5) }, 5, perSecond, 0},
		"2 a second, sliding":        {func() limitedSource { return slidingWindow(2, time.Second) }, 2, perSecond, 0},
		"1 a second, fixed":          {func() limitedSource { return fixedWindows(1, time.Second) }, 1, perSecond, 0},
		"1 a second, bucket":         {func() limitedSource { return tokenBucket(1, time.Second, 1) }, 1, perSecond, 0},
		"10 a minute, fixed":         {func() limitedSource { return fixedWindows(10, time.Minute) }, 10, perMinute, 10},
		"10 a minute, sliding":       {func() limitedSource { return slidingWindow(10, time.Minute) }, 10, perMinute, 10},
		"10 a minute, bucket":        {func() limitedSource { return tokenBucket(10, time.Minute, 10) }, 10, perMinute, 10},
		"10 a minute, bucket of one": {func() limitedSource { return tokenBucket(10, time.Minute, 1) }, 10, perMinute, 0},
		"90 a minute, fixed":         {func() limitedSource { return fixedWindows(90, time.Minute) }, 90, perMinute, 90},
		"90 a minute, sliding":       {func() limitedSource { return slidingWindow(90, time.Minute) }, 90, perMinute, 90},
		"600 a minute, sliding":      {func() limitedSource { return slidingWindow(600, time.Minute) }, 600, perMinute, 600},
		"600 a minute, bucket":       {func() limitedSource { return tokenBucket(600, time.Minute, 10) }, 600, perMinute, 0},
		"300 a minute and 20 a second": {func() limitedSource {
			minutes, seconds := slidingWindow(300, time.Minute), slidingWindow(20, time.Second)
			return func(at time.Time) bool { return seconds(at) && minutes(at) }
		}, 300, perMinute, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, first := c.source(), true
			calls := simulate(newPace(0), func(at time.Time) bool {
				stray := first
				first = false
				return !stray && source(at)
			}, 8, 20*time.Millisecond, 11*time.Minute)

			allowed := float64(c.calls) / float64(c.unit)
			atFirst := max(10*allowed, float64(c.burst))
			accepted, refused := tally(calls, 0, 10*time.Second)
			t.Logf("10 s: %d accepted of %.0f, %d refused", accepted, atFirst, refused)
			if float64(accepted) < 0.8*atFirst {
				t.Errorf("%d calls accepted in 10 s, where %.0f are allowed", accepted, atFirst)
			}
			accepted, refused = tally(calls, time.Minute, 11*time.Minute)
			t.Logf("10 minutes: %d accepted of %.0f, %d refused", accepted, 600*allowed, refused)
			if float64(accepted) < 0.8*600*allowed || refused*20 > accepted+refused {
				t.Errorf("%d calls accepted in ten minutes, where %.0f are allowed, and %d refused", accepted, 600*allowed, refused)
			}
			for m := time.Minute; m < 4*time.Minute; m += time.Minute {
				if accepted, refused := tally(calls, m, m+3*time.Minute); refused*10 >= accepted+refused {
					t.Errorf("%d of %d calls refused from %v on", refused, accepted+refused, m)
				}
			}
		})
	}
}

// Where in its minute the source is at the first call makes no difference.
func TestPaceAtAnyTimeOfTheMinute(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{10, 30} {
		for began := time.Duration(0); began < time.Minute; began += 1017 * time.Millisecond {
			for _, latency := range []time.Duration{20 * time.Millisecond, 80 * time.Millisecond, 300 * time.Millisecond} {
				source := fixedWindows(limit, time.Minute)
				calls := simulate(newPace(0), func(at time.Time) bool { return source(at.Add(began)) }, 8, latency, 11*time.Minute)
				accepted, refused := tally(calls, time.Minute, 11*time.Minute)
				if accepted < 10*limit*8/10 || refused*10 > accepted {
					t.Errorf("%d a minute, %v after its beginning, %v a call: %d accepted, %d refused", limit, began, latency, accepted, refused)
				}
			}
		}
	}
}

// With Retry-After, too, a limit is found and kept, and no call is refused because it came
// too early.
func TestPaceWithRetryAfter(t *testing.T) {
	t.Parallel()
	left := func(length time.Duration) func(time.Time) time.Duration {
		return func(at time.Time) time.Duration {
			return max(time.Second, (at.Truncate(length).Add(length).Sub(at) + time.Second - 1).Truncate(time.Second))
		}
	}
	constant := func(time.Time) time.Duration { return 5 * time.Second }
	for name, c := range map[string]struct {
		source     limitedSource
		retryAfter func(time.Time) time.Duration
		allowed    int // in ten minutes
	}{
		"10 a minute":              {fixedWindows(10, time.Minute), left(time.Minute), 100},
		"300 a minute":             {fixedWindows(300, time.Minute), left(time.Minute), 3000},
		"5 a second":               {fixedWindows(5, time.Second), left(time.Second), 3000},
		"20 a second":              {slidingWindow(20, time.Second), left(time.Second), 12000},
		"20 a second, wait longer": {slidingWindow(20, time.Second), constant, 12000},
	} {
		says := func(at time.Time) (time.Duration, []namedLimit) { return c.retryAfter(at), nil }
		calls := simulateAnswers(newPace(0), c.source, says, 8, 20*time.Millisecond, 11*time.Minute)
		accepted, refused := tally(calls, time.Minute, 11*time.Minute)
		t.Logf("%s: %d accepted of %d, %d refused", name, accepted, c.allowed, refused)
		if accepted < c.allowed*7/10 || refused*20 > accepted {
			t.Errorf("%s: %d accepted of %d, %d refused", name, accepted, c.allowed, refused)
		}
		if accepted, refused := tally(calls, time.Minute, 3*time.Minute); refused*10 >= accepted {
			t.Errorf("%s: %d accepted in the second and third minute, %d refused", name, accepted, refused)
		}
	}
}

// Nothing is known of a source that refuses all calls for ten minutes: when it accepts
// them again, the pace is soon what it was.
func TestPaceAfterOutage(t *testing.T) {
	t.Parallel()
	for _, began := range []time.Duration{0, time.Second, 5 * time.Minute} {
		const length = 10 * time.Minute
		calls := simulate(newPace(0), func(at time.Time) bool {
			since := at.Sub(paceStart)
			return since < began || since >= began+length
		}, 4, 100*time.Millisecond, began+length+time.Minute)
		if _, refused := tally(calls, began, began+length); refused > 60 {
			t.Errorf("an outage after %v was met by %d calls", began, refused)
		}
		if accepted, _ := tally(calls, began+length+30*time.Second, began+length+time.Minute); accepted < 30*40*8/10 {
			t.Errorf("after an outage after %v: %d calls in half a minute", began, accepted)
		}
	}
}

// A limit that was lifted is found within a minute.
func TestPaceOfLiftedLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{2, 20} {
		narrow := slidingWindow(limit, time.Second)
		calls := simulate(newPace(0), func(at time.Time) bool {
			return at.Sub(paceStart) > 5*time.Minute || narrow(at)
		}, 8, 20*time.Millisecond, 7*time.Minute)
		if accepted, _ := tally(calls, 6*time.Minute, 7*time.Minute); accepted < 60*400*8/10 {
			t.Errorf("%d calls in a minute after a limit of %d a second", accepted, limit)
		}
	}
}

// The rate that the user allows is never exceeded, and the calls are evenly spaced.
func TestPaceIsBounded(t *testing.T) {
	t.Parallel()
	source := slidingWindow(20, time.Second)
	calls := simulate(newPace(7), source, 8, 20*time.Millisecond, time.Minute)
	if accepted, refused := tally(calls, 0, time.Minute); accepted < 60*7-1 || accepted > 60*7+1 || refused > 0 {
		t.Errorf("%d calls in a minute, %d refused", accepted, refused)
	}
	none := func(time.Time) bool { return false }
	for i, calls := 1, simulate(newPace(0.1), none, 8, 20*time.Millisecond, 5*time.Minute); i < len(calls); i++ {
		if pause := calls[i].at - calls[i-1].at; pause < 10*time.Second {
			t.Errorf("call %d came after %v", i, pause)
		}
	}
}

// A limit that the source names is kept after the first refusal, and used.
func TestPaceWithNamedLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source limitedSource
		limit  namedLimit
	}{
		{fixedWindows(10, time.Minute), namedLimit{10, time.Minute}},
		{slidingWindow(10, time.Minute), namedLimit{10, time.Minute}},
		{tokenBucket(10, time.Minute, 10), namedLimit{10, time.Minute}},
		{fixedWindows(300, time.Minute), namedLimit{300, time.Minute}},
		{fixedWindows(20, time.Second), namedLimit{20, time.Second}},
		{slidingWindow(20, time.Second), namedLimit{20, time.Second}},
		{tokenBucket(3, time.Second, 3), namedLimit{3, time.Second}},
	} {
		says := func(time.Time) (time.Duration, []namedLimit) { return 0, []namedLimit{c.limit} }
		calls := simulateAnswers(newPace(0), c.source, says, 8, 20*time.Millisecond, 11*time.Minute)
		accepted, refused := tally(calls, time.Minute, 11*time.Minute)
		allowed := c.limit.calls * float64(10*time.Minute/c.limit.per)
		t.Logf("%+v: %d accepted of %.0f, %d refused", c.limit, accepted, allowed, refused)
		if float64(accepted) < allowed*85/100 || refused*20 > accepted {
			t.Errorf("%+v: %d accepted of %.0f, %d refused", c.limit, accepted, allowed, refused)
		}
	}
}

// A pace that was learned earlier is where the next process begins: it meets few refusals.
func TestPaceIsLearned(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]func() limitedSource{
		"a second": func() limitedSource { return fixedWindows(20, time.Second) },
		"a minute": func() limitedSource { return fixedWindows(10, time.Minute) },
	} {
		before := newPace(0)
		if before.learned() != 0 {
			t.Errorf("%s: %d before the first refusal", name, before.learned())
		}
		simulate(before, source(), 8, 20*time.Millisecond, 10*time.Minute)
		after := newPace(0)
		after.learn(before.learned())
		if got, want := after.learned(), before.learned(); got > want || got < want-1 {
			t.Errorf("%s: %d learned, of %d", name, got, want)
		}
		calls := simulate(after, source(), 8, 20*time.Millisecond, 10*time.Minute)
		if accepted, refused := tally(calls, 0, 10*time.Minute); refused*20 > accepted {
			t.Errorf("%s: %d accepted, %d refused", name, accepted, refused)
		}
	}
}
