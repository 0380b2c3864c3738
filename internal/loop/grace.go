package loop

import (
	"context"
	"errors"
	"time"

	"archiver/internal/archive"
)

const (
	// commitGrace is how long commits may take after the run was told to stop. The
	// release of the claim may then take as long again, and so may the note of the
	// run's end: in all less than the 10 seconds that a container engine waits.
	commitGrace = 3 * time.Second

	// finishGrace is how long calls may take after the run was stopped with ErrFinish.
	// The claim lasts as long: it was renewed at most a third of its life ago.
	finishGrace = 2 * archive.ClaimLife / 3
)

// callsEnd returns how long calls may take after the run was told to stop: no time,
// unless the cause is ErrFinish.
func callsEnd(cause error) time.Duration {
	if errors.Is(cause, archive.ErrFinish) {
		return finishGrace
	}
	return 0
}

// commitsEnd returns how long commits may take after the run was told to stop.
func commitsEnd(cause error) time.Duration { return callsEnd(cause) + commitGrace }

// lastCall returns how long a call of the store that must still be made may take after the
// run was told to stop. In a run that nothing stops it may take any time.
func lastCall(error) time.Duration { return commitGrace }

// grace returns a context that ends some time after ctx, with the same cause.
// Finishing the pages that were asked for costs less than asking for them again.
func grace(ctx context.Context, clock archive.Clock, after func(cause error) time.Duration) (longer context.Context, release func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if d := after(cause); d > 0 && clock.Sleep(longer, d) != nil {
			return // released before the time was over
		}
		cancel(cause)
	})
	return longer, func() { stop(); cancel(nil) }
}
