package extract

import (
	"context"
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
	patience time.Duration // 0 for no end

	mu        sync.Mutex
	all       *lane
	functions map[string]*refusedFunction
	accepted  int          // answers that were not refusals
	refused   int          // refusals that all calls had to heed
	busySince time.Time    // first refusal since the last accepted call; zero if none
	last      *StatusError // the last refusal
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
	chance   float64 // that all calls are throttled, and only its own met the limit
	accepted int     // its own calls since its last refusal

	// The gate's numbers at its last refusal.
	allAccepted, allRefused int
}

const (
	// functionLife is how long a function has its own pace after its last refusal.
	functionLife = time.Hour

	leastChance = 0.01 // below this a function is taken to be throttled alone
	othersWeigh = 4    // factor on the chance for each refusal of another function
)

func newGate(clock archive.Clock, maxRate float64, patience time.Duration) *gate {
	return &gate{clock: clock, patience: patience, all: newLane(maxRate), functions: make(map[string]*refusedFunction)}
}

func newLane(maxRate float64) *lane {
	return &lane{pace: newPace(maxRate), turn: make(chan struct{}, 1), answer: make(chan struct{})}
}

// A passage is a call that has passed the gate.
type passage struct {
	function    string
	ownLane     *lane
	own, shared *pacedCall
}

// enterOwn waits until a function's own pace allows a call. It returns at once if the
// function has the pace of the others.
func (g *gate) enterOwn(ctx context.Context, function string, since time.Time) (*passage, error) {
	p := &passage{function: function}
	g.mu.Lock()
	if f := g.functions[function]; f != nil {
		p.ownLane = f.lane
	}
	g.mu.Unlock()
	if p.ownLane == nil {
		return p, nil
	}
	var err error
	p.own, err = g.enter(ctx, p.ownLane, since)
	return p, err
}

// enterShared waits until the source's pace allows the call.
func (g *gate) enterShared(ctx context.Context, p *passage, since time.Time) (err error) {
	p.shared, err = g.enter(ctx, g.all, since)
	return err
}

// enter waits for a lane. since is when the call was asked for.
func (g *gate) enter(ctx context.Context, l *lane, since time.Time) (*pacedCall, error) {
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
		delay, err := g.wait(now, since, delay)
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
func (g *gate) patienceEnd(since time.Time) time.Time {
	if g.patience <= 0 || g.busySince.IsZero() {
		return time.Time{}
	}
	end := g.busySince.Add(g.patience)
	if !since.Before(end) {
		return since.Add(g.patience)
	}
	return end
}

// wait returns how long a call waits: the delay, or until its patience ends. The error
// says that the patience is over.
func (g *gate) wait(now, since time.Time, delay time.Duration) (time.Duration, error) {
	end := g.patienceEnd(since)
	switch {
	case end.IsZero():
		return delay, nil
	case !now.Before(end):
		return 0, fmt.Errorf("%w for %s: %w", archive.ErrBusy, g.patience, g.last)
	}
	return min(delay, end.Sub(now)), nil
}

// afterRefusal returns how long a refused call waits at least before it is made again. The
// error says that the patience is over.
func (g *gate) afterRefusal(refusal *StatusError, since time.Time) (time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	pause := refusal.RetryAfter
	if now.Sub(g.all.pace.latest) > time.Second {
		pause = max(pause, minThrottlePause)
	}
	return g.wait(now, since, jittered(pause))
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
	f := g.functions[p.function]
	if f == nil {
		return
	}
	f.accepted++
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
