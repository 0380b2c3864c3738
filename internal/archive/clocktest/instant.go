package clocktest

import (
	"context"
	"sync"
	"time"
)

// An Instant implements archive.Clock: its sleeps move the time on and take
// none. It is for the pauses between tries.
type Instant struct {
	mu  sync.Mutex
	now time.Time
}

// NewInstant is a clock that starts at a time.
func NewInstant(now time.Time) *Instant { return &Instant{now: now} }

// Now is the start and all sleeps since.
func (c *Instant) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep moves the time on.
func (c *Instant) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
	return context.Cause(ctx)
}
