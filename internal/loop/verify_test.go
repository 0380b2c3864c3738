package loop

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

// A window that cannot be compared is left to the next run, and the windows after it are
// compared all the same.
func TestVerifyGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.fullPage = 100
	w.source.records[alpha.URN] = many("a", hour(3), 5)
	w.complete(span(0, 8))
	poisoned := hour(1).Add(time.Hour / 2)
	w.source.before = func(_ context.Context, k ask) error {
		if !k.Span.From.After(poisoned) && !k.Span.To.Before(poisoned) {
			return errServer
		}
		return nil
	}
	w.source.records[alpha.URN] = append(many("b", hour(5).Add(time.Minute), 5), w.source.records[alpha.URN]...)
	s, err := w.archiver().Archive(t.Context(), archive.Order{Range: span(0, 8), Compare: true}, new(archive.Progress))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || s.Differ != 1 || s.Missing != 1 || s.Left != 1 {
		t.Errorf("%v, %+v", err, s.Totals)
	}
	w.states(alpha, span(5, 6), archive.StateShort)

	// A function that answers nothing is left as a whole.
	w.source.before = nil
	w.source.errs[alpha.URN] = errServer
	before := len(w.source.asked())
	s, err = w.archiver().Archive(t.Context(), archive.Order{Range: span(0, 8), Compare: true}, new(archive.Progress))
	if calls := len(w.source.asked()) - before; err == nil || s.Left != 1 || calls > 5 {
		t.Errorf("%v, %+v, %d calls", err, s.Totals, calls)
	}
}

// The end of a list without counts is not believed if it is a page or longer.
func TestVerifyListThatIsCutOff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ceiling, late, differ int64
	}{{15, 10, 1}, {100, 0, 0}} {
		w := newWorld(t, 10, alpha)
		w.source.fullPage = 10
		w.source.count = countAbsent
		w.source.records[alpha.URN] = many("a", hour(3), 15)
		w.complete(span(3, 4))
		w.db.learned = nil // a day later
		w.source.records[alpha.URN] = append(w.source.records[alpha.URN], many("late", hour(3), int(test.late))...)
		a := w.archiver()
		a.Source = w.ceil(ceiling{at: int(test.ceiling), count: "absent"})
		s, err := a.Archive(t.Context(), archive.Order{Range: span(3, 4), Compare: true}, new(archive.Progress))
		if s.Differ != test.differ || s.Left != 0 || (err != nil) != (test.differ > 0) {
			t.Errorf("cut off at %d: %v, %+v", test.ceiling, err, s.Totals)
		}
	}
}

// The log has no count where there is none to compare with.
func TestDifferenceWithoutCount(t *testing.T) {
	t.Parallel()
	for counted, want := range map[int]string{-1: "cannot be compared", 7: "counted=7"} {
		var log bytes.Buffer
		a := newWorld(t, 10, alpha).archiver()
		a.Log = slog.New(slog.NewTextHandler(&log, nil))
		r := &run{Archiver: a, progress: new(archive.Progress)}
		r.differs(archive.Difference{Function: alpha, Window: hour(3), Archived: 5, Counted: counted})
		if said := log.String(); !strings.Contains(said, want) || strings.Contains(said, "=-1") {
			t.Errorf("counted %d: %s", counted, said)
		}
	}
}
