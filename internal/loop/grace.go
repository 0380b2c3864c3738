package loop

import (
	"context"
	"errors"
	"time"

	"archiver/internal/archive"
)

const (
	// commitGrace is how long the pages in hand may still take to be kept after
	// the run was told to stop, and after that the release of the claim, and
	// the note of the run's end: in all less than the 10 seconds that a
	// container engine waits.
	commitGrace = 3 * time.Second

	// finishGrace is how long the pages in hand may take to be answered before
	// that, if the run was stopped with ErrFinish. The claim lasts as long: it was
	// renewed a third of its life ago, at most.
	finishGrace = 2 * archive.ClaimLife / 3
)

// callGrace is how long the calls under way may take after the run was told to
// stop.
func callGrace(cause error) time.Duration {
	if errors.Is(cause, archive.ErrFinish) {
		return finishGrace
	}
	return 0
}

// keepGrace is how long the commits of their pages may take after that moment.
func keepGrace(cause error) time.Duration { return callGrace(cause) + commitGrace }

// grace returns a context that ends some time after ctx, with the same cause:
// finishing the pages in hand costs less than asking for them again.
func grace(ctx context.Context, clock archive.Clock, after func(cause error) time.Duration) (longer context.Context, release func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if d := after(cause); d > 0 && clock.Sleep(longer, d) != nil {
			return // there was nothing left to finish
		}
		cancel(cause)
	})
	return longer, func() { stop(); cancel(nil) }
}
