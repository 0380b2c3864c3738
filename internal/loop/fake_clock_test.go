package loop

import (
	"context"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
)

// patience is how long a test waits for what must happen at once. Nothing
// waits that long unless it fails.
const patience = 10 * time.Second

// asleep waits until a sleep of d begins.
func asleep(t *testing.T, clock *clocktest.Clock, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := clock.AwaitSleeper(ctx, clock.Now().Add(d)); err != nil {
		t.Fatalf("no sleep of %v began", d)
	}
}

// pass waits until a sleep of d begins, and lets that time pass.
func pass(t *testing.T, clock *clocktest.Clock, d time.Duration) {
	t.Helper()
	asleep(t, clock, d)
	clock.Advance(d)
}

// await waits for something that must happen.
func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Errorf("%s did not come", what)
	}
	return v
}
