package loop

import (
	"errors"
	"fmt"
	"testing"

	"archiver/internal/archive"
)

// A function that the source throttles alone stays pending, and is asked for once in a
// run. The others go on, their older windows included.
func TestThrottledAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	for _, f := range []archive.Function{alpha, beta} {
		w.source.records[f.URN] = many(f.Name, hour(3), 15)
	}
	w.source.errs[alpha.URN] = fmt.Errorf("%w: 429", archive.ErrThrottled)
	summary, err := w.archive(span(2, 8))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Throttled != 6 || incomplete.First.Function != alpha || len(summary.Failures) != 1 {
		t.Fatalf("the run ended with %v, %+v", err, summary)
	}
	if summary.Failed != 0 || summary.Complete != 6 || summary.Done != 6 || summary.Windows != 12 || summary.Elsewhere != 0 {
		t.Errorf("the summary is %+v", summary.Totals)
	}
	w.states(beta, span(2, 8), archive.StateComplete)
	w.states(alpha, span(2, 8), "") // as they were
	asked := 0
	for _, a := range w.source.asked() {
		if a.URN == alpha.URN {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("asked for %d times", asked)
	}
	delete(w.source.errs, alpha.URN)
	w.complete(span(2, 8))
	w.all()
}

// What is asked for after the windows ends a function's work as well, and is left to the
// next run.
func TestThrottledAfterWindows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	for _, f := range []archive.Function{alpha, beta} {
		w.source.records[f.URN] = many(f.Name, hour(3), 5)
	}
	w.complete(span(2, 8))
	w.source.errs[alpha.URN] = archive.ErrThrottled
	order := archive.Order{AskedBy: "test", Range: span(2, 8), Compare: true}
	summary, err := w.archiver().Archive(t.Context(), order, new(archive.Progress))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Left != 1 || summary.Compared != 12 {
		t.Errorf("%v, %+v", err, summary.Totals)
	}
	w.states(alpha, span(2, 8), archive.StateComplete)
}
