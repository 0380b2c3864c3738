package loop

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"archiver/internal/archive"
)

// An endless source ends its lists after a page, without saying so.
type endless struct{ *fakeSource }

func (e endless) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		for page, err := range e.fakeSource.Pages(ctx, q) {
			yield(page, err)
			return
		}
	}
}

var errDisk = errors.New("the disk is full")

// While a page is being kept the next one is asked for, and no more than that.
func TestTwoPagesUnderWay(t *testing.T) {
	t.Parallel()
	const pages = 10
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	asked := make(chan struct{}, pages)
	w.source.before = func(_ context.Context, a ask) error {
		if a.nth > 1 {
			asked <- struct{}{}
		}
		return nil
	}
	w.store.before = func(_ context.Context, op string, nth int) error {
		if op == opCommit && nth < pages {
			await(t, "the call during a commit", asked)
		}
		return nil
	}
	w.complete(span(3, 4))
	w.all()
	if got := w.source.mostOpen; got != 2 {
		t.Errorf("%d pages were asked for and not yet kept at one moment, want 2", got)
	}
}

// A page that cannot be kept ends the run, and the call under way at that time.
func TestCommitErrorEndsTheRun(t *testing.T) {
	t.Parallel()
	for _, persisted := range []bool{false, true} {
		w := newWorld(t, 10, alpha)
		w.source.records[alpha.URN] = many("a", hour(3), 95)
		asked, cancelled := make(chan struct{}), make(chan struct{})
		w.source.before = func(ctx context.Context, a ask) error {
			if a.nth == 1 {
				return nil
			}
			close(asked)
			await(t, "the end of the context", ctx.Done())
			close(cancelled)
			return ctx.Err()
		}
		fail := func(_ context.Context, op string, _ int) error {
			if op != opCommit {
				return nil
			}
			await(t, "the call during the commit", asked)
			return errDisk
		}
		if persisted {
			w.store.after = fail
		} else {
			w.store.before = fail
		}
		summary, err := w.archive(span(3, 4))
		if !errors.Is(err, errDisk) {
			t.Fatalf("persisted %v: the run ended with %v", persisted, err)
		}
		await(t, "the call under way to be cancelled", cancelled)
		if got := len(w.source.asked()); got != 2 || summary.Done != 0 {
			t.Errorf("persisted %v: %d calls, %+v", persisted, got, summary.Totals)
		}
		if run := w.db.runs[0]; !run.ended || !errors.Is(run.err, errDisk) {
			t.Errorf("persisted %v: the run is noted as %+v", persisted, run)
		}
		if persisted {
			w.states(alpha, span(3, 4), archive.StatePartial)
		} else {
			w.states(alpha, span(3, 4), "")
		}
	}
}

// If the user interrupts, the pages that were answered are committed. The run does not
// wait for calls under way.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	ctx, interrupt := context.WithCancelCause(t.Context())
	asked := make(chan struct{})
	w.source.before = func(ctx context.Context, a ask) error {
		if a.nth < 4 {
			return nil
		}
		close(asked)
		await(t, "the end of the context", ctx.Done())
		return ctx.Err()
	}
	w.store.before = func(_ context.Context, op string, nth int) error {
		if op == opCommit && nth == 3 {
			await(t, "the call during the commit", asked)
			interrupt(archive.ErrInterrupted)
		}
		return nil
	}
	done := await(t, "the end of the run", w.start(ctx, span(3, 4)))
	if !errors.Is(done.err, archive.ErrInterrupted) {
		t.Fatalf("the run ended with %v", done.err)
	}
	if got := len(w.db.commits()); got != 3 {
		t.Errorf("%d pages are kept, want 3", got)
	}
	w.states(alpha, span(3, 4), archive.StatePartial)
	if run := w.db.runs[0]; !run.ended || !errors.Is(run.err, archive.ErrInterrupted) || run.summary.Inserted != 30 {
		t.Errorf("the run is noted as %+v", run)
	}

	// The next run goes on at the page after the last one kept.
	before := len(w.source.asked())
	w.source.before = nil
	w.restart()
	w.complete(span(3, 4))
	w.all()
	want := []archive.Cursor{"30", "40", "50", "60", "70", "80", "90"}
	if got := cursors(w.source.asked()[before:]); !slices.Equal(got, want) {
		t.Errorf("pages asked for afterwards: %q, want %q", got, want)
	}
}

// The page that came while the one before it was being kept is kept as well.
func TestInterruptedWithTwoPagesInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.together = true
	w.source.records[alpha.URN] = many("a", hour(3), 20)
	ctx, interrupt := context.WithCancelCause(t.Context())
	came := make(chan struct{})
	w.source.after = func(a ask) {
		if a.nth == 2 {
			close(came)
		}
	}
	w.store.before = func(_ context.Context, op string, nth int) error {
		if op == opCommit && nth == 1 {
			await(t, "the second page", came)
			interrupt(archive.ErrInterrupted)
		}
		return nil
	}
	done := await(t, "the end of the run", w.start(ctx, span(3, 4)))
	if !errors.Is(done.err, archive.ErrInterrupted) {
		t.Fatalf("the run ended with %v", done.err)
	}
	w.all()
	w.states(alpha, span(3, 4), archive.StateComplete)
}

// A source that takes no notice of the interruption is not asked on and on.
func TestInterruptedWithADeafSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.deaf = true
	w.source.records[alpha.URN] = append(many("b", hour(8), 95), many("a", hour(3), 95)...)
	w.complete(span(5, 6)) // so that two spans are due
	before := len(w.source.asked())
	ctx, interrupt := context.WithCancelCause(t.Context())
	w.source.after = func(a ask) {
		if a.nth == before+3 {
			interrupt(archive.ErrInterrupted)
		}
	}
	done := await(t, "the end of the run", w.start(ctx, span(3, 9)))
	if !errors.Is(done.err, archive.ErrInterrupted) {
		t.Fatalf("the run ended with %v", done.err)
	}
	// One call may be under way when it happens.
	if got := len(w.source.asked()) - before; got > 4 {
		t.Errorf("%d calls for an interruption during the third", got)
	}
	kept := 0
	for _, b := range w.db.commits() {
		kept += len(b.Invocations)
	}
	if kept < 30 {
		t.Errorf("%d records are kept of three pages", kept)
	}
}

// What hangs in the store is given up some time after the interruption, and not before.
func TestInterruptedStoreHangs(t *testing.T) {
	t.Parallel()
	for _, hanging := range []string{opClaim, opCommit, opRelease} {
		t.Run(hanging, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10, alpha)
			w.source.records[alpha.URN] = many("a", hour(3), 95)
			ctx, interrupt := context.WithCancelCause(t.Context())
			given := make(chan error, 1)
			hangs, givenUp := context.WithCancel(t.Context())
			w.store.before = func(ctx context.Context, op string, _ int) error {
				if op != hanging {
					return nil
				}
				if end, limited := ctx.Deadline(); limited || ctx.Err() != nil {
					t.Errorf("%s may take until %s although nothing stops the run", op, end)
				}
				interrupt(archive.ErrInterrupted)
				await(t, "the end of the context", ctx.Done())
				given <- ctx.Err()
				givenUp()
				return ctx.Err()
			}
			run := w.start(ctx, span(3, 4))
			// The time for commits passes as well as the time for what hangs, at once or one after
			// the other.
			for w.clock.AwaitSleeper(hangs, w.clock.Now().Add(commitGrace)) == nil {
				w.clock.Advance(commitGrace)
			}
			if err := await(t, hanging+" to be given up", given); err == nil {
				t.Errorf("%s was given no end", hanging)
			}
			if done := await(t, "the end of the run", run); !errors.Is(done.err, archive.ErrInterrupted) {
				t.Errorf("the run ended with %v", done.err)
			}
			if len(w.db.commits()) != 0 && hanging != opRelease {
				t.Error("something was kept")
			}
		})
	}
}

// Interrupted while it waits for another worker, a run ends at once.
func TestInterruptedWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.complete(span(3, 4))
	if _, err := w.db.connect("other").Claim(t.Context(), w.db.functions[0].Known); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancelCause(t.Context())
	w.store.after = func(_ context.Context, op string, nth int) error {
		if op == opDue && nth == 4 { // two of each run
			interrupt(archive.ErrInterrupted)
		}
		return nil
	}
	if done := await(t, "the end of the run", w.start(ctx, span(4, 5))); !errors.Is(done.err, archive.ErrInterrupted) {
		t.Errorf("the run ended with %v", done.err)
	}
}
