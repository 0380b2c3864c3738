package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
)

// A function that the source does not know is gone; that is no failure, and
// the others go on.
func TestGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	for _, f := range []archive.Function{alpha, beta} {
		w.source.records[f.URN] = many(f.Name, hour(3), 15)
	}
	w.complete(span(3, 4))
	w.source.errs[alpha.URN] = fmt.Errorf("404: %w", archive.ErrGone)
	summary := w.complete(span(3, 8))
	w.states(alpha, span(3, 8), archive.StateComplete, archive.StateGone, archive.StateGone, archive.StateGone, archive.StateGone)
	w.states(beta, span(3, 8), archive.StateComplete)
	w.all()
	if summary.Gone != 4 || summary.Complete != 4 || summary.Done != 8 || len(summary.Failures) != 0 {
		t.Errorf("the summary is %+v", summary)
	}
}

// One that vanishes in the middle of a walk is gone with all that is left of
// it; what was read stays.
func TestGoneMidway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	w.complete(span(5, 6)) // leaves two spans
	w.source.before = func(_ context.Context, a ask) error {
		if a.Span.Holds(hour(3)) && a.Cursor == "10" {
			return archive.ErrGone
		}
		return nil
	}
	summary := w.complete(span(3, 8))
	w.states(alpha, span(3, 8), archive.StateGone, archive.StateGone, archive.StateComplete, archive.StateComplete, archive.StateComplete)
	if len(w.db.ids()) != 10 || summary.Gone != 2 || len(w.db.walks[1]) != 0 {
		t.Errorf("%d rows, %+v, open walks %v", len(w.db.ids()), summary.Totals, w.db.walks[1])
	}
}

// A function that is no longer listed is still asked for, and its records are kept. If
// the source does not know it, the function is gone and is not asked for again.
func TestNoLongerListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	w.source.records[beta.URN] = append(many("b4", hour(4), 5), many("b3", hour(3), 5)...)
	w.complete(span(3, 4))

	w.source.listed = [][]archive.Function{{alpha}}
	w.clock.Advance(time.Minute)
	w.complete(span(3, 5))
	w.all()
	w.states(beta, span(3, 5), archive.StateComplete)

	w.source.errs[beta.URN] = archive.ErrGone
	w.clock.Advance(time.Minute)
	w.complete(span(3, 6))
	w.states(beta, span(3, 6), archive.StateComplete, archive.StateComplete, archive.StateGone)
	before := len(w.source.asked())
	w.clock.Advance(time.Minute)
	if summary := w.complete(span(3, 7)); summary.Matched != 1 {
		t.Errorf("%d functions, want alpha alone", summary.Matched)
	}
	for _, a := range w.source.asked()[before:] {
		if a.URN == beta.URN {
			t.Error("a function that is gone was asked for")
		}
	}
}

// Refused credentials end the run at once, with nothing marked.
func TestDenied(t *testing.T) {
	t.Parallel()
	const concurrency = 3
	var functions []archive.Function
	for i := range 50 {
		functions = append(functions, archive.Function{URN: fmt.Sprintf("urn:%d", i), Name: fmt.Sprint(i)})
	}
	w := newWorld(t, 10, functions...)
	w.source.ping = archive.ErrDenied
	w.source.before = func(context.Context, ask) error { return fmt.Errorf("403: %w", archive.ErrDenied) }
	a := w.archiver()
	a.Concurrency = concurrency
	summary, err := a.Archive(t.Context(), archive.Order{Range: span(0, 24)}, new(archive.Progress))
	if !errors.Is(err, archive.ErrDenied) {
		t.Fatalf("the run ended with %v", err)
	}
	if summary.Calls > pagesPerCall*concurrency {
		t.Errorf("%d calls were made", summary.Calls)
	}
	if len(w.db.windows) != 0 || len(w.db.walks) != 0 {
		t.Errorf("something is marked: %v, %v", w.db.windows, w.db.walks)
	}
	if run := w.db.runs[0]; !run.ended || !errors.Is(run.err, archive.ErrDenied) {
		t.Errorf("the run is noted as %+v", run)
	}
	for id, c := range w.db.claims {
		if c.store != nil {
			t.Errorf("function %d is still claimed", id)
		}
	}
}

// If the source denies access during a walk, the pages of other functions that were
// answered are committed.
func TestDeniedMidway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	w.source.records[beta.URN] = many("b", hour(3), 95)
	w.source.ping = archive.ErrDenied
	asked := make(chan struct{})
	w.source.before = func(ctx context.Context, a ask) error {
		switch {
		case a.URN == beta.URN && a.nth == 2:
			close(asked)
			await(t, "the end of the context", ctx.Done())
			return ctx.Err()
		case a.URN == alpha.URN && a.nth == 3:
			await(t, "the other function's call", asked)
			return archive.ErrDenied
		}
		return nil
	}
	if _, err := w.archive(span(3, 4)); !errors.Is(err, archive.ErrDenied) {
		t.Fatalf("the run ended with %v", err)
	}
	if got := len(w.db.ids()); got != 30 {
		t.Errorf("%d rows are kept of three pages", got)
	}
	w.states(alpha, span(3, 4), archive.StatePartial)
	w.states(beta, span(3, 4), archive.StatePartial)
}

// Lists of functions that fail end the run as well, and nothing is read.
func TestListFails(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{archive.ErrDenied, errDisk} {
		w := newWorld(t, 10, alpha)
		w.source.listErr = cause
		if _, err := w.archive(span(3, 4)); !errors.Is(err, cause) {
			t.Errorf("the run ended with %v, want %v", err, cause)
		}
		if run := w.db.runs[0]; !run.ended || !errors.Is(run.err, cause) || len(w.source.asked()) != 0 {
			t.Errorf("the run is noted as %+v", run)
		}
	}
}

var errServer = errors.New("500 Internal Server Error")

// A function that fails at every call does not stop the others, and is not
// asked for each of its spans.
func TestFailingFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	w.source.records[beta.URN] = many("b", hour(3), 25)
	for _, n := range []int{1, 3, 5, 7} {
		w.complete(span(n, n+1))
	}
	before := len(w.source.asked())
	w.source.errs[alpha.URN] = errServer
	summary, err := w.archive(span(0, 9)) // five spans of an hour each
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.First.Function != alpha || !errors.Is(incomplete.First.Err, errServer) {
		t.Fatalf("the run ended with %v", err)
	}
	if want := "5 windows are not complete; first alpha 2026-03-14T08:00Z/2026-03-14T09:00Z: 500 Internal Server Error"; err.Error() != want {
		t.Errorf("the run ended with %q, want %q", err, want)
	}
	tried := 0
	for _, a := range w.source.asked()[before:] {
		if a.URN == alpha.URN {
			tried++
		}
	}
	if tried != 3 {
		t.Errorf("%d spans of a function that fails were tried, want 3", tried)
	}
	w.states(alpha, span(0, 9), "", archive.StateComplete, "", archive.StateComplete, "", archive.StateComplete, "", archive.StateComplete, archive.StateFailed)
	w.states(beta, span(0, 9), archive.StateComplete)
	if got := w.db.state(alpha.URN, hour(8)).err; got != errServer.Error() {
		t.Errorf("the window failed with %q", got)
	}
	if summary.Failed != 5 || summary.Complete != 5 || summary.Done != 10 || len(summary.Failures) != 1 {
		t.Errorf("the summary is %+v", summary)
	}
}

// If the source fails during a walk, the walk stays open, and the next run resumes it.
func TestFailsMidway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 35)
	w.source.before = func(_ context.Context, a ask) error {
		if a.nth >= 3 {
			return errServer
		}
		return nil
	}
	if _, err := w.archive(span(3, 4)); err == nil {
		t.Fatal("the run ended as if all were well")
	}
	w.states(alpha, span(3, 4), archive.StateFailed)
	w.source.before = nil
	w.complete(span(3, 4))
	w.all()
	w.states(alpha, span(3, 4), archive.StateComplete)
	if got, want := cursors(w.source.asked()), []archive.Cursor{"", "10", "20", "", "", "20", "30"}; !slices.Equal(got, want) {
		t.Errorf("pages asked for: %q, want %q", got, want)
	}
}
