package loop

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"archiver/internal/archive"
)

// killAtCall archives a span until the process is killed as it makes its nth call for a
// page, and starts another process.
func (w *world) killAtCall(nth int, s archive.Span) {
	w.t.Helper()
	asked, store := len(w.source.asked()), w.store
	ctx, kill := context.WithCancelCause(w.t.Context())
	w.source.before = func(_ context.Context, a ask) error {
		if a.nth != asked+nth {
			return nil
		}
		store.die()
		kill(errDead)
		return errDead
	}
	if done := await(w.t, "the end of the killed run", w.start(ctx, s)); !errors.Is(done.err, errDead) {
		w.t.Fatalf("the run that was killed ended with %v", done.err)
	}
	w.source.before = nil
	w.restart()
}

// Killed at any call, and the next process again at any of its calls, a walk goes on where
// it was: neither its pages nor the proof of its count are asked for from the beginning.
func TestKilledAtAnyCall(t *testing.T) {
	t.Parallel()
	made := func() *world {
		w := newWorld(t, 10, alpha)
		w.source.fullPage = 10
		w.source.records[alpha.URN] = many("a", hour(3), 95)
		return w
	}
	calm := made()
	calm.complete(span(3, 4))
	fewest := len(calm.source.asked())
	for first := 1; first <= fewest; first++ {
		for second := 1; second <= fewest-first; second++ {
			t.Run(fmt.Sprintf("%d, %d", first, second), func(t *testing.T) {
				t.Parallel()
				w := made()
				w.t = t
				for _, call := range []int{first, second} {
					w.killAtCall(call, span(3, 4))
				}
				w.complete(span(3, 4))
				w.all()
				w.states(alpha, span(3, 4), archive.StateComplete)
				// Each kill loses at most the pages that have a slot.
				if got, most := len(w.source.asked()), fewest+2*pagesPerCall*w.archiver().Concurrency; got > most {
					t.Errorf("%d calls, %d without the kills: %+v", got, fewest, w.source.asked())
				}
			})
		}
	}
}
