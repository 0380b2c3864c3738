package extract

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"archiver/internal/archive"
)

// How the limiter adapts. The source's limit is unknown, and other clients may
// share it. When the source throttles a call, the limiter cuts its rate to
// limiterCut of it. If there was no limit yet, the limiter starts from the
// measured rate of the accepted calls. After limiterHold without throttling,
// the limiter raises the rate slowly.
const (
	limiterCut    = 0.8              // factor on the rate when the source throttles
	limiterGrowth = 0.01             // of the rate, each second
	limiterHold   = 20 * time.Second // without throttling, before the rate grows
	limiterBurst  = 3 * time.Second  // throttled calls within it count once
	limiterWindow = 10 * time.Second // over which the rate of accepted calls is measured
	minRate       = rate.Limit(0.2)  // calls a second
)

// A limiter spaces the calls. It starts at the configured rate, and adapts to
// what the source accepts.
type limiter struct {
	clock archive.Clock
	max   rate.Limit

	mu            sync.Mutex
	limit         *rate.Limiter
	blockedUntil  time.Time // by Retry-After
	lastThrottled time.Time // first throttled call of the last burst
	lastGrown     time.Time // when the rate last grew
	countedSince  time.Time // when the counting of acceptedCalls began
	acceptedCalls float64
}

// newLimiter makes a limiter of at most maxRate calls a second; 0 means no
// limit.
func newLimiter(clock archive.Clock, maxRate float64) *limiter {
	l := &limiter{clock: clock, max: rate.Inf}
	if maxRate > 0 {
		l.max = rate.Limit(maxRate)
	}
	l.limit = rate.NewLimiter(l.max, 1)
	return l
}

func (l *limiter) wait(ctx context.Context) error {
	now := l.clock.Now()
	l.mu.Lock()
	reservation := l.limit.ReserveN(now, 1)
	delay := max(reservation.DelayFrom(now), l.blockedUntil.Sub(now))
	l.mu.Unlock()
	if delay <= 0 {
		return nil
	}
	if err := l.clock.Sleep(ctx, delay); err != nil {
		reservation.CancelAt(l.clock.Now())
		return err
	}
	return nil
}

// accepted counts a call that the source did not throttle, and raises the rate
// when it is time to.
func (l *limiter) accepted() {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch age := now.Sub(l.countedSince); {
	case l.countedSince.IsZero():
		l.countedSince = now
	case age > limiterWindow:
		// Keep half a window at the average rate, so that the measured rate
		// does not jump.
		l.countedSince = now.Add(-limiterWindow / 2)
		l.acceptedCalls *= float64(limiterWindow/2) / float64(age)
	}
	l.acceptedCalls++
	current := l.limit.Limit()
	if current >= l.max || now.Sub(l.lastThrottled) < limiterHold {
		return
	}
	if elapsed := now.Sub(l.lastGrown); elapsed >= time.Second {
		l.lastGrown = now
		l.limit.SetLimitAt(now, min(l.max, current*rate.Limit(1+limiterGrowth*min(elapsed.Seconds(), 10))))
	}
}

// throttled lowers the rate after a throttled call. No call starts during
// retryAfter.
func (l *limiter) throttled(retryAfter time.Duration) {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := now.Add(retryAfter); retryAfter > 0 && until.After(l.blockedUntil) {
		l.blockedUntil = until
	}
	if now.Sub(l.lastThrottled) < limiterBurst {
		return
	}
	l.lastThrottled, l.lastGrown = now, now
	current := l.limit.Limit()
	if current == rate.Inf {
		current = rate.Limit(l.acceptedCalls / max(now.Sub(l.countedSince).Seconds(), 1))
	}
	l.limit.SetLimitAt(now, max(current*limiterCut, min(minRate, l.max)))
}
