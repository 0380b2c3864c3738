package extract

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"archiver/internal/archive"
)

// A gate lets the calls of one source start at the pace of the source. A function that
// the source throttles while it accepts the calls of others has a pace of its own, and its
// refusals do not slow the others down.
type gate struct {
	clock    archive.Clock
	patience time.Duration                   // 0 for no end
	busyEnd  func(since time.Time) time.Time // end of the patience for all calls
	probe    func(context.Context) error     // the cheapest call of the source; may be nil

	mu           sync.Mutex
	all          *lane
	functions    map[string]*refusedFunction
	accepted     int          // answers that were not refusals
	forFunctions int          // of these, to calls for functions
	acceptedAt   time.Time    // the last of them
	refused      int          // refusals that all calls had to heed
	busySince    time.Time    // first refusal since the last accepted call; zero if none
	last         *StatusError // the last refusal
}

// A lane lets one call after the other start at a pace.
type lane struct {
	pace   *pace
	turn   chan struct{} // holds a value while a call waits for its start
	answer chan struct{} // closed at the next answer
}

// A refusedFunction is a function that the source has throttled.
type refusedFunction struct {
	lane     *lane // nil as long as it has the pace of the others
	at       time.Time
	since    time.Time // its first refusal since its last accepted call; zero if none
	before   int       // the gate's forFunctions then
	chance   float64   // that all calls are throttled, and only its own met the limit
	accepted int       // its own calls since its last refusal

	// The gate's numbers at its last refusal.
	allAccepted, allRefused int
}

const (
	// alonePatience is how long calls of a function are refused before the Caller asks
	// whether the source accepts others.
	alonePatience = 2 * time.Minute

	// manyOthers is more calls than are under way when a source begins to throttle all.
	manyOthers = 20

	// functionLife is how long a function has its own pace after its last refusal.
	functionLife = time.Hour

	leastChance = 0.01 // below this a function is taken to be throttled alone
	othersWeigh = 4    // factor on the chance for each refusal of another function
)

func newGate(clock archive.Clock, maxRate float64, patience time.Duration) *gate {
	return &gate{clock: clock, patience: patience, busyEnd: after(patience), all: newLane(maxRate), functions: make(map[string]*refusedFunction)}
}

func newLane(maxRate float64) *lane {
	return &lane{pace: newPace(maxRate), turn: make(chan struct{}, 1), answer: make(chan struct{})}
}

// A passage is a call that has passed the gate.
type passage struct {
	function    string
	since       time.Time // when it was asked for
	atOnce      bool
	ownLane     *lane
	own, shared *pacedCall
}

// enterOwn waits until a function's own pace allows a call. It returns at once if the
// function has the pace of the others.
func (g *gate) enterOwn(ctx context.Context, function string, since time.Time) (*passage, error) {
	p := &passage{function: function, since: since}
	g.mu.Lock()
	if f := g.functions[function]; f != nil {
		p.ownLane = f.lane
	}
	g.mu.Unlock()
	if p.ownLane == nil {
		return p, nil
	}
	var err error
	p.own, err = g.enter(ctx, p.ownLane, p)
	return p, err
}

// enterShared waits until the source's pace allows the call.
func (g *gate) enterShared(ctx context.Context, p *passage) (err error) {
	p.shared, err = g.enter(ctx, g.all, p)
	return err
}

// enter waits for a lane.
func (g *gate) enter(ctx context.Context, l *lane, p *passage) (*pacedCall, error) {
	if p.atOnce {
		g.mu.Lock()
		defer g.mu.Unlock()
		return l.pace.start(g.clock.Now(), false), nil
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	for waited := false; ; {
		g.mu.Lock()
		now := g.clock.Now()
		delay, forAnswer := l.pace.delay(now)
		delay, err := g.wait(now, p, delay)
		if err != nil {
			g.mu.Unlock()
			return nil, err
		}
		if !forAnswer && delay <= 0 {
			call := l.pace.start(now, waited)
			g.mu.Unlock()
			return call, nil
		}
		waited = l.pace.refusals == 0
		answer := l.answer
		g.mu.Unlock()
		if forAnswer {
			select {
			case <-answer:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		} else if err := g.clock.Sleep(ctx, delay); err != nil {
			return nil, err
		}
	}
}

// patienceEnd returns when the patience of a call ends that was asked for at since; zero
// for never. A call that is asked for after that has a patience of its own.
func patienceEnd(refusedSince, since time.Time, patience time.Duration, endOf func(time.Time) time.Time) time.Time {
	if patience <= 0 || refusedSince.IsZero() {
		return time.Time{}
	}
	end := endOf(refusedSince)
	if !since.Before(end) {
		return endOf(since)
	}
	return end
}

// after returns the end of a patience that begins at a time.
func after(patience time.Duration) func(time.Time) time.Time {
	return func(since time.Time) time.Time { return since.Add(patience) }
}

// ownPatience is how long calls of one function alone may be refused; 0 for no end, if
// nobody can tell whether the source accepts others.
func (g *gate) ownPatience() time.Duration {
	switch {
	case g.probe == nil:
		return 0
	case g.patience > 0:
		return min(alonePatience, g.patience)
	}
	return alonePatience
}

// wait returns how long a call waits: the delay, or until its patience ends. The error
// says that the patience is over: for its function ErrThrottled, for all calls ErrBusy.
func (g *gate) wait(now time.Time, p *passage, delay time.Duration) (time.Duration, error) {
	if f := g.functions[p.function]; f != nil {
		if end := patienceEnd(f.since, p.since, g.ownPatience(), after(g.ownPatience())); !end.IsZero() {
			if !now.Before(end) {
				return 0, fmt.Errorf("%w: %w", archive.ErrThrottled, g.last)
			}
			delay = min(delay, end.Sub(now))
		}
	}
	if end := patienceEnd(g.busySince, p.since, g.patience, g.busyEnd); !end.IsZero() {
		if !now.Before(end) {
			return 0, fmt.Errorf("%w for %s: %w", archive.ErrBusy, now.Sub(g.busySince).Round(time.Second), g.last)
		}
		delay = min(delay, end.Sub(now))
	}
	return delay, nil
}

// throttlesAlone reports whether the source throttles a function alone, whose patience is
// over: it has accepted many calls for others since, or it refuses no other function and
// accepts its cheapest call. Otherwise the function has its patience again. The error says
// that the source accepts no call.
func (g *gate) throttlesAlone(ctx context.Context, function string) (bool, error) {
	g.mu.Lock()
	f := g.functions[function]
	alone, others := f == nil || g.forFunctions-f.before >= manyOthers, g.refusesOthers(f)
	accepted, refused := g.accepted, g.refused
	blocked, windows := g.all.pace.refusals > 0, g.all.pace.atFirst
	g.mu.Unlock()
	if alone {
		return true, nil
	}
	var err error
	if !others {
		err = g.probe(WithCall(ctx, Call{atOnce: true}))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !others && g.accepted > accepted && g.refused == refused {
		if blocked { // by this function alone
			g.all.pace.windows, g.all.pace.until = windows, g.clock.Now()
		}
		return true, nil
	}
	f.since = g.clock.Now()
	if errors.Is(err, archive.ErrBusy) || context.Cause(ctx) != nil {
		return false, err
	}
	return false, nil
}

// refusesOthers reports whether the source has refused another function since it last
// accepted a call for one.
func (g *gate) refusesOthers(f *refusedFunction) bool {
	for _, other := range g.functions {
		if other != f && other.at.After(g.acceptedAt) {
			return true
		}
	}
	return false
}

// afterRefusal returns how long a refused call waits at least before it is made again. The
// error says that the patience is over.
func (g *gate) afterRefusal(refusal *StatusError, p *passage) (time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	pause := refusal.RetryAfter
	if now.Sub(g.all.pace.latest) > time.Second {
		pause = max(pause, minThrottlePause)
	}
	return g.wait(now, p, jittered(pause))
}

// leave takes into account how a call ended: with a refusal, with any other answer, or
// without an answer.
func (g *gate) leave(p *passage, refusal *StatusError, answered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	switch {
	case refusal != nil:
		g.refuse(p, refusal, now)
	case answered:
		g.accept(p, now)
	}
	g.end(p)
}

// end lets calls start that waited for the end of this one.
func (g *gate) end(p *passage) {
	for _, ended := range []struct {
		lane *lane
		call *pacedCall
	}{{g.all, p.shared}, {p.ownLane, p.own}} {
		if ended.call != nil {
			ended.lane.pace.ended(ended.call)
			close(ended.lane.answer)
			ended.lane.answer = make(chan struct{})
		}
	}
}

// cancel is leave for a call that has not started after all.
func (g *gate) cancel(p *passage) { g.leave(p, nil, false) }

func (g *gate) accept(p *passage, now time.Time) {
	g.accepted++
	g.busySince = time.Time{}
	g.all.pace.accepted(p.shared, now)
	if p.function != "" {
		g.forFunctions, g.acceptedAt = g.forFunctions+1, now
	}
	f := g.functions[p.function]
	if f == nil {
		return
	}
	f.accepted++
	f.since = time.Time{}
	if p.own != nil {
		p.ownLane.pace.accepted(p.own, now)
	}
	if now.Sub(f.at) > functionLife {
		delete(g.functions, p.function)
	}
}

func (g *gate) refuse(p *passage, refusal *StatusError, now time.Time) {
	g.last = refusal
	first := g.busySince.IsZero()
	if first {
		g.busySince = now
	}
	retryAt := now.Add(refusal.RetryAfter)
	f := g.functions[p.function]
	switch {
	case p.function == "": // a call of the source itself
	case f == nil:
		f = &refusedFunction{chance: 1}
		g.functions[p.function] = f
	case f.isAlone(g): // calls that were under way when the lane began say nothing new
		if f.lane == nil {
			f.lane = newLane(0)
			p.ownLane, p.own = f.lane, f.lane.pace.start(p.shared.started, false)
		}
		if p.own != nil {
			f.lane.pace.refuse(p.own, now, refusal.RetryAfter, refusal.limits)
			f.lane.pace.hold(retryAt)
		}
		f.refusedAt(now, g)
		return
	}
	g.refused++
	g.all.pace.refuse(p.shared, now, refusal.RetryAfter, refusal.limits)
	if f == nil || !first { // else the pause may concern this function alone
		g.all.pace.hold(retryAt)
	}
	if f != nil {
		f.refusedAt(now, g)
	}
}

func (f *refusedFunction) refusedAt(now time.Time, g *gate) {
	if f.since.IsZero() {
		f.since, f.before = now, g.forFunctions
	}
	f.at, f.accepted, f.allAccepted, f.allRefused = now, 0, g.accepted, g.refused
}

// isAlone reports whether the source throttles this function and not all calls. If it
// throttled all calls, the others would meet the limit in proportion to their calls.
func (f *refusedFunction) isAlone(g *gate) bool {
	others := float64(g.accepted - f.allAccepted - f.accepted)
	own := 1 + float64(f.accepted)
	f.chance = min(1, f.chance*own/(own+others)*math.Pow(othersWeigh, float64(g.refused-f.allRefused)))
	return f.chance < leastChance
}
