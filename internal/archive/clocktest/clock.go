// Package clocktest has a clock that stands still until a test moves it. Only
// tests import it.
package clocktest

import (
	"context"
	"sync"
	"time"
)

// A Clock implements archive.Clock. Sleepers wake in the order of their times
// as Advance passes them.
type Clock struct {
	mu       sync.Mutex
	now      time.Time
	sleepers map[*sleeper]bool
	changed  chan struct{} // closed when a sleeper comes or goes
}

type sleeper struct {
	until time.Time
	wake  chan struct{}
}

// New is a clock that stands at a time.
func New(now time.Time) *Clock {
	return &Clock{now: now, sleepers: make(map[*sleeper]bool), changed: make(chan struct{})}
}

// Now is where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep waits until the clock has been moved by d, or ctx ends.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	if d <= 0 {
		c.mu.Unlock()
		return context.Cause(ctx)
	}
	s := &sleeper{until: c.now.Add(d), wake: make(chan struct{})}
	c.sleepers[s] = true
	c.notify()
	c.mu.Unlock()
	select {
	case <-s.wake:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sleepers, s)
		c.notify()
		return context.Cause(ctx)
	}
}

// notify tells those who wait for a number of sleepers. c.mu is held.
func (c *Clock) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Advance moves the clock on, and wakes those who sleep no longer than that.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for s := range c.sleepers {
		if !s.until.After(c.now) {
			delete(c.sleepers, s)
			close(s.wake)
		}
	}
	c.notify()
}

// AwaitSleeper waits until somebody sleeps until exactly this time.
func (c *Clock) AwaitSleeper(ctx context.Context, until time.Time) error {
	for {
		c.mu.Lock()
		changed := c.changed
		for s := range c.sleepers {
			if s.until.Equal(until) {
				c.mu.Unlock()
				return nil
			}
		}
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
