package archive

import (
	"context"
	"time"
)

// A Clock tells the time and waits. Tests inject their own.
type Clock interface {
	Now() time.Time
	// Sleep waits for d. If ctx ends first, Sleep returns the context's cause.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the machine's own clock, in UTC.
type SystemClock struct{}

// Now is the current time in UTC.
func (SystemClock) Now() time.Time { return time.Now().UTC() }

// Sleep waits for d. If ctx ends first, Sleep returns the context's cause.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
