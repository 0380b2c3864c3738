package loop

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"archiver/internal/archive"
)

// eager makes the world's source ask for pages ahead, and give them at once.
func (w *world) eager() { w.source.ahead, w.source.together = true, true }

// Pages asked for ahead are kept in their order, each once, and no call is made
// that one page after the other would not make.
func TestAhead(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 10, 11, 95, 100, 333} {
		w := newWorld(t, 10, alpha)
		w.eager()
		w.source.records[alpha.URN] = append(many("a", hour(3), n), unusable("{}", hour(3)))
		summary := w.complete(span(3, 4))
		w.all()
		w.states(alpha, span(3, 4), archive.StateComplete)
		if want := (n + 1 + 9) / 10; int(summary.Calls) != want || int(summary.Inserted) != n || summary.Rejected != 1 {
			t.Errorf("%d records: %d calls, want %d; %+v", n, summary.Calls, want, summary.Totals)
		}
		kept := 0
		batches := w.db.commits()
		for i, b := range batches {
			kept += len(b.Invocations) + len(b.Rejected)
			if last := i == len(batches)-1; last != (b.Outcome != nil) || !last && (offset(b.Walk.Cursor) != kept || b.Walk.Seen != kept) {
				t.Errorf("%d records: commit %d of %d leaves %+v, %+v after %d", n, i+1, len(batches), b.Walk, b.Outcome, kept)
			}
		}
	}
}

// One busy function alone uses all slots: the source has a call under way for each
// slot, and never more.
func TestBusyFunctionAlone(t *testing.T) {
	t.Parallel()
	const concurrency, slots = 3, pagesPerCall * 3
	w := newWorld(t, 10, alpha)
	w.eager()
	w.source.records[alpha.URN] = many("a", hour(3), 300)
	full := make(chan struct{})
	var underWay atomic.Int64
	w.source.before = func(_ context.Context, a ask) error {
		if a.Cursor == "" {
			return nil
		}
		if underWay.Add(1) == slots {
			close(full)
		}
		await(t, "calls under way", full)
		return nil
	}
	a := w.archiver()
	a.Concurrency = concurrency
	if _, err := a.Archive(t.Context(), archive.Order{Range: span(3, 4)}, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	w.all()
	if most := w.source.mostOpen; most > slots {
		t.Errorf("%d pages were asked for at once, want %d", most, slots)
	}
}

// With any number of functions, a run asks for no more pages at once than it has slots.
func TestPagesInHandOfManyFunctions(t *testing.T) {
	t.Parallel()
	const concurrency = 2
	functions := named(20)
	w := newWorld(t, 10, functions...)
	w.eager()
	for i, f := range functions {
		w.source.records[f.URN] = many(f.Name, hour(3), 1+i*i)
	}
	a := w.archiver()
	a.Concurrency = concurrency
	if _, err := a.Archive(t.Context(), archive.Order{Range: span(2, 5)}, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	w.all()
	if most := w.source.mostOpen; most > pagesPerCall*concurrency {
		t.Errorf("%d pages were asked for at once", most)
	}
	if w.source.open != 0 {
		t.Errorf("%d pages still have a slot at the end", w.source.open)
	}
}

// If the user interrupts, the pages before the first unanswered page are committed. The
// next run asks for that page and all later pages.
func TestInterruptedAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.eager()
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	ctx, interrupt := context.WithCancelCause(t.Context())
	first, behind := make(chan struct{}), make(chan struct{})
	w.source.before = func(ctx context.Context, a ask) error {
		if a.Cursor == "20" {
			await(t, "the page before it", first)
			await(t, "a page behind it", behind)
			interrupt(archive.ErrInterrupted)
			await(t, "the end of the context", ctx.Done())
			return ctx.Err()
		}
		return nil
	}
	w.source.after = func(a ask) {
		switch a.Cursor {
		case "10":
			close(first)
		case "30":
			close(behind)
		}
	}
	done := await(t, "the end of the run", w.start(ctx, span(3, 4)))
	if !errors.Is(done.err, archive.ErrInterrupted) {
		t.Fatalf("the run ended with %v", done.err)
	}
	if got := len(w.db.ids()); got != 20 {
		t.Errorf("%d records are kept, want 20", got)
	}
	w.source.before, w.source.after = nil, nil
	before := len(w.source.asked())
	w.restart()
	w.complete(span(3, 4))
	w.all()
	again := w.source.asked()[before:]
	if len(again) != 8 || slices.Contains(cursors(again), "10") {
		t.Errorf("pages asked for afterwards: %q", cursors(again))
	}
}

// A page that was asked for early and fails is an error at its turn. The pages before
// it are committed, and the question is asked in parts.
func TestFailsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.eager()
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	failed := make(chan struct{})
	closeFailed := sync.OnceFunc(func() { close(failed) })
	w.source.before = func(_ context.Context, a ask) error {
		switch a.Cursor {
		case "30":
			closeFailed()
			return errServer
		case "10", "20":
			await(t, "the page behind them to fail", failed)
		}
		return nil
	}
	w.complete(span(3, 4)) // in parts whose lists do not go so far
	w.all()
}

// A span that is cut is not read on: no page is asked for ahead of the cut.
func TestCutAsksForNothingAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2000, alpha)
	w.eager()
	for n := 3; n >= 0; n-- {
		w.source.records[alpha.URN] = append(w.source.records[alpha.URN], many(string(rune('a'+n)), hour(n), 12_000)...)
	}
	summary := w.complete(span(0, 4))
	w.all()
	if summary.Calls > 1+2*13 {
		t.Errorf("%d calls for 24 pages", summary.Calls)
	}
}
