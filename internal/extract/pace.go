package extract

import (
	"math"
	"slices"
	"time"

	"archiver/internal/archive"
)

// How a pace adapts.
const (
	paceCut      = 0.9  // factor on what was accepted, after a refusal
	paceMostCut  = 0.5  // the least that is left of a known limit
	paceStep     = 0.05 // of the limit, and at most one call: growth near the last refusal
	paceFar      = 1.2  // of the limit at the last refusal: from here on growth is fast
	paceFast     = 1.25 // factor of fast growth, for each accepted call
	paceSame     = 1.25 // counts that differ by less than this factor are the same limit
	paceSlack    = 5 * time.Millisecond
	firstBlocked = 100 * time.Millisecond // pause after the first refusal in a row; it doubles
	maxBlocked   = 15 * time.Second
	longSecond   = 2 * time.Second  // a source that asks for a longer pause does not count seconds
	pacePatience = 5                // pauses of the source's own without growth after a refusal
	minuteFull   = 4                // refusals in a row after which the rest of a minute is waited for
	paceOutage   = 90 * time.Second // refusals for longer than this have another cause than a window
)

// A pace finds out how many calls a source accepts. The limit is unknown. Sources count the
// calls of a second or of a minute, in fixed or sliding windows or with a token bucket, and
// other clients may share the limit. Calls are evenly spaced, because a bucket may hold a
// single token.
//
// As long as the source refuses no call, no limit is known. At the first refusal, the calls
// accepted in the last second become the second's limit. If none were accepted in the last
// second, or the source asks for a longer pause, the calls accepted in the last minute
// become the minute's limit. Such a limit may be far too low, so it grows with each
// accepted call (slow start) until the next refusal. From then on it is cut at each refusal,
// and grows by at most one call a window. Far above the last refusal it grows fast again.
//
// While the source refuses all calls, one call at a time tries, and the pauses between
// these calls double.
//
// A pace is not safe for concurrent use.
type pace struct {
	maxRate float64 // calls a second
	windows [2]paceWindow
	calls   []*pacedCall // of the last minute, in the order of their start
	slot    time.Time    // of the last call; the next is an interval later
	until   time.Time    // no call starts before

	// An event is a refusal that changes the pace. Refusals of calls that started before
	// the last event are part of it: the pace was already too high.
	events   int
	event    refusedCall   // the last event
	atEvent  [2]paceWindow // the windows before the last event
	underWay int           // calls that started since the last event
	ramp     int           // most calls under way while no limit is known

	refusals int           // events in a row, without an accepted call that started later
	since    time.Time     // when the first of them came
	atFirst  [2]paceWindow // the windows before the first of them

	refusedAt time.Time // latest start of a refused call
	latest    time.Time // latest start of an accepted call
	counted   time.Time // calls before it do not count for the minute
}

// A refusedCall is a call whose refusal changed the pace.
type refusedCall struct {
	*pacedCall
	retryAfter time.Duration
}

const (
	second = iota
	minute
)

// A paceWindow is a second or a minute.
type paceWindow struct {
	length  time.Duration
	limit   float64 // calls; infinite if unknown
	level   float64 // the limit at the last refusal
	count   float64 // calls accepted in the window before the last refusal; 0 for none
	fast    bool    // the limit grows with each accepted call
	steps   int     // accepted calls since the limit last grew
	stepped int     // accepted calls between two steps of growth
	grown   time.Time
	blamed  bool    // the refusals in a row have cut the limit
	named   float64 // the limit that the source has named; infinite if none
	namedAt time.Time
}

// A pacedCall is a call that has started.
type pacedCall struct {
	started time.Time
	event   int  // number of events before it
	waited  bool // for the spacing
	refused bool
}

// newPace makes a pace of at most maxRate calls a second; 0 means no limit.
func newPace(maxRate float64) *pace {
	if maxRate <= 0 {
		maxRate = math.Inf(1)
	}
	unknown := paceWindow{limit: math.Inf(1), named: math.Inf(1)}
	p := &pace{maxRate: maxRate, windows: [2]paceWindow{unknown, unknown}, ramp: math.MaxInt}
	p.windows[second].length, p.windows[second].stepped = time.Second, 20
	p.windows[minute].length, p.windows[minute].stepped = time.Minute, 10
	return p
}

// delay returns how long the next call has to wait. If it has to wait for the answer to
// another call, answer is true.
func (p *pace) delay(now time.Time) (d time.Duration, answer bool) {
	switch {
	case p.refusals > 0:
		return max(p.slot.Add(spacing(p.maxRate)).Sub(now), p.until.Sub(now)), p.underWay > 0
	case p.underWay >= p.ramp && math.IsInf(p.rate(), 1):
		return 0, true
	}
	return max(p.next().Sub(now), p.until.Sub(now)), false
}

// start starts a call. waited says that it had to wait.
func (p *pace) start(now time.Time, waited bool) *pacedCall {
	c := &pacedCall{started: now, event: p.events, waited: waited}
	p.underWay++
	for len(p.calls) > 0 && now.Sub(p.calls[0].started) > time.Minute {
		p.calls = p.calls[1:]
	}
	p.calls = append(p.calls, c)
	p.slot = p.next()
	if now.Sub(p.slot) > paceSlack || p.slot.After(now) {
		p.slot = now
	}
	return c
}

// next is when the spacing allows the next call.
func (p *pace) next() time.Time { return p.slot.Add(spacing(p.rate())) }

// spacing is the time between two calls at a rate.
func spacing(rate float64) time.Duration { return time.Duration(float64(time.Second) / rate) }

// rate is in calls a second.
func (p *pace) rate() float64 { return min(p.maxRate, p.binding().rate()) }

func (w *paceWindow) rate() float64 { return w.limit / w.length.Seconds() }

func (p *pace) binding() *paceWindow {
	if p.windows[minute].rate() < p.windows[second].rate() {
		return &p.windows[minute]
	}
	return &p.windows[second]
}

// learned is in calls in 1,000 seconds; 0 if no limit is known.
func (p *pace) learned() int64 {
	if rate := p.binding().rate(); !math.IsInf(rate, 1) {
		return max(1, int64(rate*1000))
	}
	return 0
}

// learn sets a limit that was learned earlier, if none is known.
func (p *pace) learn(calls int64) {
	if calls <= 0 || !math.IsInf(p.binding().rate(), 1) {
		return
	}
	w := &p.windows[second]
	if calls < 1000 {
		w = &p.windows[minute]
	}
	w.limit = float64(calls) / 1000 * w.length.Seconds()
	w.level = w.limit
}

// ended says that the call has no answer, or that the answer has been taken into account.
func (p *pace) ended(c *pacedCall) {
	if c.event == p.events {
		p.underWay--
	}
}

// count counts the calls that started in the window before a time and were not refused.
func (p *pace) count(before time.Time, w *paceWindow) (n float64) {
	for _, c := range slices.Backward(p.calls) {
		switch {
		case c.started.After(before) || c.refused:
		case !p.counts(c, before, w):
			return n
		default:
			n++
		}
	}
	return n
}

func (p *pace) counts(c *pacedCall, at time.Time, w *paceWindow) bool {
	return at.Sub(c.started) < w.length && (w.length < time.Minute || !c.started.Before(p.counted))
}

// accepted takes an answer into account that is not a refusal.
func (p *pace) accepted(c *pacedCall, now time.Time) {
	last := p.latest
	if c.started.After(last) {
		p.latest = c.started
	}
	if p.refusals > 0 {
		if c.started.After(p.refusedAt) {
			p.unblock(c, last, now)
		}
		return
	}
	if p.ramp < math.MaxInt {
		p.ramp++
	}
	if c.waited {
		p.grow(p.binding(), now)
	}
}

// unblock ends the refusals in a row. last is the start of the call that was accepted before.
func (p *pace) unblock(c *pacedCall, last, now time.Time) {
	if now.Sub(p.since) > paceOutage {
		p.windows = p.atFirst
		for i := range p.windows {
			p.windows[i].fast = true
		}
	} else if w := &p.windows[minute]; w.blamed && w.fast {
		p.counted = c.started
	}
	for i := range p.windows {
		w := &p.windows[i]
		if w.blamed && w.fast && !last.IsZero() {
			// A token bucket gave one token in this time.
			w.limit = min(w.named, max(w.limit, paceCut*float64(w.length)/float64(c.started.Sub(last))))
		}
		if w.blamed && !w.fast && w.length == time.Minute && w.limit > w.count && now.Sub(p.since) > 3*spacing(w.rate()) {
			// The source has counted the calls, not the time between them.
			w.limit, w.level = paceCut*w.count, w.count
		}
		w.blamed = false
	}
	p.refusals, p.ramp = 0, 1
}

// grow raises a limit that has held a call back.
func (p *pace) grow(w *paceWindow, now time.Time) {
	if math.IsInf(w.limit, 1) {
		return
	}
	limit := w.limit
	if w.fast {
		limit *= paceFast
		if w.length < time.Minute { // many calls may be under way
			limit = max(w.limit, min(limit, 2*p.count(now, w)+2))
		}
	} else if w.steps++; w.steps >= w.stepped && now.Sub(w.grown) >= w.length {
		limit += min(1, paceStep*limit)
		w.steps, w.grown = 0, now
		w.fast = limit > paceFar*w.level
	}
	if now.Sub(w.namedAt) < archive.LearnedLife {
		limit = min(limit, w.named)
	}
	w.limit = limit
}

// refuse takes a refusal into account. retryAfter is the pause that the source asked for;
// who calls refuse holds the calls back so long.
func (p *pace) refuse(c *pacedCall, now time.Time, retryAfter time.Duration, named []namedLimit) {
	c.refused = true
	if p.refusals == 0 {
		p.windows[second].blamed, p.windows[minute].blamed = false, false
	}
	for _, n := range named {
		p.obey(n, now)
	}
	if c.started.After(p.refusedAt) {
		p.refusedAt = c.started
	}
	if c.event < p.events {
		if c.event == p.events-1 { // the last event has refused this call as well
			p.windows = p.atEvent
			p.cut(now)
		}
		return
	}
	p.events, p.underWay, p.event, p.atEvent = p.events+1, 0, refusedCall{c, retryAfter}, p.windows
	if p.refusals++; p.refusals == 1 {
		p.since, p.atFirst = now, p.windows
	}
	p.cut(now)
	p.hold(now.Add(min(firstBlocked<<min(p.refusals-1, 10), maxBlocked)))
	if m := &p.windows[minute]; p.refusals > minuteFull && m.blamed && !m.fast {
		p.hold(p.counted.Add(m.length)) // the window probably began with the first call counted
	}
}

// hold keeps calls from starting before a time.
func (p *pace) hold(until time.Time) {
	if until.After(p.until) {
		p.until = until
	}
}

// obey takes a limit as it is named.
func (p *pace) obey(n namedLimit, now time.Time) {
	w := &p.windows[second]
	calls := n.calls / n.per.Seconds()
	if n.per > time.Second && calls < 1 || n.per == time.Minute {
		w, calls = &p.windows[minute], calls*60
	}
	w.named, w.namedAt = calls, now
	if calls < w.limit {
		w.limit, w.level, w.count, w.fast, w.blamed = calls, calls, calls, false, true
		p.hold(p.room(now, w))
	}
}

// cut lowers the limit that the last event comes from.
func (p *pace) cut(now time.Time) {
	c, w, m := p.event, &p.windows[second], &p.windows[minute]
	n, inMinute := p.count(c.started, w), p.count(c.started, m)
	if long := c.retryAfter > longSecond; n == 0 || m.same(inMinute) && (long || !w.same(n)) || long && !w.same(n) {
		if p.refusals > 1 {
			*w = p.atFirst[second]
		}
		if n > 0 {
			w.count = n
		}
		w, n = m, inMinute
	}
	if w.blamed || n == 0 {
		return
	}
	limit, fast := paceCut*n, false
	switch same := w.same(n); {
	case math.IsInf(w.limit, 1):
		fast = true
	case same:
	case w.fast:
		limit = w.limit / paceFast
	case c.started.Sub(p.counted) < w.length: // n is not of a whole window
		limit = paceCut * w.limit
	default:
		limit = paceCut * max(n, paceMostCut*w.limit)
	}
	w.limit = min(limit, w.limit)
	w.level, w.count, w.fast, w.blamed = w.limit/paceCut, n, fast, true
	w.steps, w.grown = 0, now.Add(pacePatience*c.retryAfter)
	if !fast {
		p.hold(p.room(c.started, w))
	}
}

// same reports whether a refusal after n calls in the window comes from the same limit as
// the one before.
func (w *paceWindow) same(n float64) bool {
	return w.count > 0 && n > w.count/paceSame && n < w.count*paceSame
}

// room is when the window has room for a call.
func (p *pace) room(at time.Time, w *paceWindow) time.Time {
	left := int(p.count(at, w) - math.Ceil(w.limit)) // more calls than one must leave the window
	if left < 0 {
		return at
	}
	for _, c := range p.calls {
		if c.refused || !p.counts(c, at, w) {
			continue
		}
		if left--; left < 0 {
			return c.started.Add(w.length)
		}
	}
	return at
}
