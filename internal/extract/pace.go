package extract

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"archiver/internal/archive"
)

// How a pace adapts. A source's own limit is not known, and may be shared with
// others: a refusal takes the pace down to less than what just went through,
// and after a while without one it rises slowly until the next.
const (
	paceCut    = 0.8
	paceGrowth = 0.01             // a second
	paceHold   = 20 * time.Second // without a refusal, until it rises
	paceBurst  = 3 * time.Second  // refusals within it are of one burst
	paceWindow = 10 * time.Second // in which what goes through is measured
	paceLeast  = rate.Limit(0.2)  // calls a second
)

// A pace is how fast calls may follow one another: as fast as was asked for,
// or as the source allows.
type pace struct {
	clock archive.Clock
	most  rate.Limit

	mu      sync.Mutex
	limit   *rate.Limiter
	held    time.Time // no call before this
	refused time.Time // the last burst's first refusal
	grown   time.Time // when the limit last rose
	since   time.Time // passed have passed since
	passed  float64
}

// newPace makes a pace of so many calls a second at most, 0 for no limit.
func newPace(clock archive.Clock, most float64) *pace {
	p := &pace{clock: clock, most: rate.Inf}
	if most > 0 {
		p.most = rate.Limit(most)
	}
	p.limit = rate.NewLimiter(p.most, 1)
	return p
}

// turn waits for a call's turn.
func (p *pace) turn(ctx context.Context) error {
	now := p.clock.Now()
	p.mu.Lock()
	turn := p.limit.ReserveN(now, 1)
	delay := max(turn.DelayFrom(now), p.held.Sub(now))
	p.mu.Unlock()
	if delay <= 0 {
		return nil
	}
	if err := p.clock.Sleep(ctx, delay); err != nil {
		turn.CancelAt(p.clock.Now())
		return err
	}
	return nil
}

// pass notes a call that the source did not refuse.
func (p *pace) pass() {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch age := now.Sub(p.since); {
	case p.since.IsZero():
		p.since = now
	case age > paceWindow:
		p.since, p.passed = now.Add(-paceWindow/2), p.passed*float64(paceWindow/2)/float64(age)
	}
	p.passed++
	limit := p.limit.Limit()
	if limit >= p.most || now.Sub(p.refused) < paceHold {
		return
	}
	if risen := now.Sub(p.grown); risen >= time.Second {
		p.grown = now
		p.limit.SetLimitAt(now, min(p.most, limit*rate.Limit(1+paceGrowth*min(risen.Seconds(), 10))))
	}
}

// refuse notes a call that the source refused, and for how long it asked to be
// left alone.
func (p *pace) refuse(retryAfter time.Duration) {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := now.Add(retryAfter); retryAfter > 0 && until.After(p.held) {
		p.held = until
	}
	if now.Sub(p.refused) < paceBurst {
		return
	}
	p.refused, p.grown = now, now
	limit := p.limit.Limit()
	if limit == rate.Inf {
		limit = rate.Limit(p.passed / max(now.Sub(p.since).Seconds(), 1))
	}
	p.limit.SetLimitAt(now, max(limit*paceCut, min(paceLeast, p.most)))
}
