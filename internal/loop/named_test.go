package loop

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"archiver/internal/archive"
)

var errDenied = fmt.Errorf("403: %w", archive.ErrDenied)

// A function that is named, not listed and gone is not asked for in each run: it is not
// missing from the list, so naming it does not bring it back.
func TestNamedAndGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, beta)
	w.source.errs[alpha.URN] = archive.ErrGone
	archived := func(n int) (asked int) {
		t.Helper()
		w.clock.Advance(time.Minute)
		a := w.archiver()
		a.Named = []archive.Function{alpha}
		before := len(w.source.asked())
		if _, err := a.Archive(t.Context(), archive.Order{Range: span(0, n)}, new(archive.Progress)); err != nil {
			t.Fatal(err)
		}
		for _, k := range w.source.asked()[before:] {
			if k.URN == alpha.URN {
				asked++
			}
		}
		return asked
	}
	if asked := archived(8); asked == 0 {
		t.Error("it is not asked for at all")
	}
	for range 2 {
		if asked := archived(8); asked != 0 {
			t.Errorf("it is gone, and asked for %d times", asked)
		}
	}
}

// Where the list of functions is denied, a named function that is denied says nothing about
// the others, even if it is the first: the cheapest call is that list.
func TestNamedAndDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.source.listErr, w.source.ping = errDenied, errDenied
	w.source.errs[alpha.URN] = errDenied
	w.source.records[beta.URN] = many("b", hour(3), 5)
	a := w.archiver()
	a.Concurrency, a.Named = 1, []archive.Function{alpha, beta}
	_, err := a.Archive(t.Context(), archive.Order{Range: span(0, 8)}, new(archive.Progress))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) {
		t.Errorf("the run ended with %v", err)
	}
	w.all()
	w.states(beta, span(0, 8), archive.StateComplete)
	w.states(alpha, span(7, 8), archive.StateFailed)

	// If all of many are denied, the permission is missing.
	w = newWorld(t, 10)
	w.source.listErr, w.source.ping = errDenied, errDenied
	a = w.archiver()
	a.Named = named(manyDenied + 10)
	for _, f := range a.Named {
		w.source.errs[f.URN] = errDenied
	}
	_, err = a.Archive(t.Context(), archive.Order{Range: span(0, 8)}, new(archive.Progress))
	if n := len(w.source.asked()); errors.As(err, &incomplete) || !errors.Is(err, archive.ErrDenied) || n > manyDenied+2*a.Concurrency {
		t.Errorf("after %d calls the run ended with %v", n, err)
	}
}
