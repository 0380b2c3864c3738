package loop

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
)

// steady archives a span as a schedule does: with what is to be verified.
func (w *world) steady(s archive.Span) (archive.Summary, error) {
	return w.archiver().Archive(w.t.Context(), archive.Order{Range: s, Follow: true, VerifyAfter: time.Hour}, new(archive.Progress))
}

// The call for due windows also reads the complete windows before them again, and so
// verifies them.
func TestVerifiesOnTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100, alpha)
	w.source.records[alpha.URN] = many("a", hour(0), 9)
	w.complete(span(0, 3))
	before := len(w.source.asked())
	summary, err := w.steady(span(0, 4))
	if err != nil {
		t.Fatal(err)
	}
	if calls := len(w.source.asked()) - before; calls != 1 || summary.Compared != 3 || summary.Done != 4 {
		t.Errorf("%d calls, %+v", calls, summary.Totals)
	}
	before = len(w.source.asked())
	if summary, err = w.steady(span(0, 4)); err != nil || summary.Compared != 1 || len(w.source.asked())-before > 1 {
		t.Errorf("the next run: %v, %+v, %d calls", err, summary.Totals, len(w.source.asked())-before)
	}
}

// A walk that reads complete windows again, and fails on its second page, takes
// nothing back: they stay complete, and only what was due has failed.
func TestReadingAgainTakesNothingBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want archive.State
	}{
		"failed": {errServer, archive.StateFailed},
		"gone":   {archive.ErrGone, archive.StateGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10, alpha)
			w.source.records[alpha.URN] = many("a", hour(0), 5)
			w.complete(span(0, 3))
			w.source.records[alpha.URN] = append(many("b", hour(3), 20), w.source.records[alpha.URN]...)
			var fails atomic.Bool
			w.source.before = func(_ context.Context, a ask) error {
				if a.Cursor != "" {
					fails.Store(true)
				}
				if fails.Load() {
					return test.err
				}
				return nil
			}
			summary, err := w.steady(span(0, 4))
			var incomplete *archive.IncompleteError
			if test.want == archive.StateFailed && (!errors.As(err, &incomplete) || incomplete.Failed != 1) {
				t.Errorf("the run ended with %v", err)
			}
			if summary.Done != 1 || summary.Windows != 1 {
				t.Errorf("the summary is %+v", summary.Totals)
			}
			w.states(alpha, span(0, 3), archive.StateComplete)
			w.states(alpha, span(3, 4), test.want)
		})
	}
}

// A second that fails, in a complete window that a walk reads again, costs the windows that
// are due nothing. The complete window stays complete, and is left to the next run. So are
// complete windows of a source that answers nothing any more.
func TestRereadMeetsPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.fullPage = 10
	w.source.records[alpha.URN] = many("a", hour(0), 5)
	w.complete(span(0, 3))
	second := hour(1).Add(17 * time.Minute)
	w.refuse(func(a ask) bool { return covers(a, second) })
	summary, err := w.steady(span(0, 5))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || *incomplete != (archive.IncompleteError{Left: incomplete.Left, First: incomplete.First}) {
		t.Errorf("the run ended with %v", err)
	}
	if summary.Windows != 4 || summary.Done != 4 || summary.Complete != 4 || summary.Elsewhere != 0 {
		t.Errorf("the summary is %+v", summary.Totals)
	}
	w.states(alpha, span(0, 5), archive.StateComplete)
}

// Complete windows that the source does not answer any more, since they began too long ago,
// are neither failed nor forgotten. That holds also if the source answers no question as
// wide as an hour.
func TestRereadBeforeEdge(t *testing.T) {
	t.Parallel()
	for _, widest := range []time.Duration{archive.MaxSpan, archive.Hour} {
		w := newWorld(t, 10, alpha)
		w.source.count = countAbsent // so that windows are read again
		from := -5 * 24
		for n := range 2 {
			w.source.records[alpha.URN] = append(many(fmt.Sprint("h", n), hour(from+n), 5), w.source.records[alpha.URN]...)
		}
		w.complete(span(from, from+2))
		edge := hour(from + 6).Add(7 * time.Minute)
		w.db.learned = []archive.Learned{{What: archive.LearnedRange, Value: int64(widest / time.Second), At: w.clock.Now()}}
		w.refuse(func(a ask) bool { return a.Span.From.Before(edge) || a.Span.To.Sub(a.Span.From) > widest })
		for n := range 2 { // the second run knows the edge
			if summary, err := w.steady(span(from, from+8)); err != nil || summary.Failed+summary.Missed+summary.Left != 0 {
				t.Errorf("%s: run %d ended with %v, %+v", widest, n, err, summary.Totals)
			}
			w.states(alpha, span(from, from+2), archive.StateComplete)
			w.states(alpha, span(from+2, from+7), archive.StateExpired)
		}
	}
}

// A window that differs and cannot be read is compared again by the next run:
// it is not taken for verified.
func TestRereadFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(0), 5)
	w.complete(span(0, 3))
	late := settled("late", hour(1).Add(time.Minute))
	w.source.arrive(alpha.URN, 0, late)
	whole := 0
	w.source.before = func(_ context.Context, a ask) error {
		if a.limit == 0 || a.limit > 2 || a.Span.To.Sub(a.Span.From) <= smallest { // a count is asked for with a page of one
			whole++
			return errServer
		}
		return nil
	}
	summary, err := w.steady(span(0, 3))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Failed != 0 || incomplete.Left != 1 || summary.Windows != 0 || whole == 0 {
		t.Fatalf("the first run ended with %v after %d pages, %+v", err, whole, summary.Totals)
	}
	w.states(alpha, span(0, 3), archive.StateComplete)
	w.source.before = nil
	summary, err = w.steady(span(0, 3))
	if err != nil || summary.Differ != 1 {
		t.Errorf("the second run ended with %v, %+v", err, summary.Totals)
	}
	w.all()
}

// A page that cannot be kept is an error of the run that releases the function
// for another process, and its windows are read again.
func TestSharesAfterFailedCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	for n := 1; n < 5; n += 2 {
		w.complete(span(n, n+1))
	}
	w.source.records[alpha.URN] = many("a", hour(0), 5)
	w.source.records[beta.URN] = many("b", hour(0), 5)
	other, err := w.db.connect("other").Claim(t.Context(), w.db.functions[0].Known)
	if err != nil {
		t.Fatal(err)
	}
	errDisk := errors.New("no space left")
	w.store.before = func(_ context.Context, op string, _ int) error {
		if op == opCommit {
			return errDisk
		}
		return nil
	}
	if _, err := w.archive(span(0, 5)); !errors.Is(err, errDisk) {
		t.Fatalf("the run ended with %v", err)
	}
	w.store.before = nil
	if err := other.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.complete(span(0, 5))
	w.all()
}
