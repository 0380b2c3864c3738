package loop

import (
	"context"
	"errors"
	"slices"
	"testing"

	"archiver/internal/archive"
)

// Stopped with ErrFinish, a run waits for the answers to the calls under way, makes no
// other call, and commits all answers.
func TestFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.eager()
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	ctx, interrupt := context.WithCancelCause(t.Context())
	asked := make(chan struct{})
	w.source.before = func(calls context.Context, a ask) error {
		if a.Cursor != "20" {
			return nil
		}
		close(asked)
		await(t, "the interruption", ctx.Done())
		if calls.Err() != nil {
			t.Error("the call under way was cut")
		}
		return nil
	}
	run := w.start(ctx, span(3, 6))
	await(t, "the page to be asked for", asked)
	interrupt(archive.ErrFinish)
	if done := await(t, "the end of the run", run); !errors.Is(done.err, archive.ErrInterrupted) {
		t.Fatalf("the run ended with %v", done.err)
	}
	pages := len(w.source.asked())
	if kept := len(w.db.ids()); kept < 30 || kept != min(95, pages*10) {
		t.Errorf("%d records are kept of %d pages that were asked for", kept, pages)
	}
	w.source.before = nil
	w.restart()
	w.complete(span(3, 6))
	w.all()
	all := cursors(w.source.asked())
	slices.Sort(all)
	if again := len(all) - len(slices.Compact(all)); again != 0 {
		t.Errorf("%d pages were asked for twice", again)
	}
}

// A run does not wait longer than finishGrace for a page without an answer.
func TestFinishingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	ctx, interrupt := context.WithCancelCause(t.Context())
	w.source.before = func(calls context.Context, a ask) error {
		if a.nth < 3 {
			return nil
		}
		interrupt(archive.ErrFinish)
		await(t, "the end of the call", calls.Done())
		return calls.Err()
	}
	run := w.start(ctx, span(3, 4))
	pass(t, w.clock, finishGrace)
	if done := await(t, "the end of the run", run); !errors.Is(done.err, archive.ErrInterrupted) {
		t.Errorf("the run ended with %v", done.err)
	}
	if kept := len(w.db.ids()); kept != 20 {
		t.Errorf("%d records are kept, want 20", kept)
	}
}
