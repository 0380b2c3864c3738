package loop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

var errRefused = errors.New("400 Bad Request")

// refuse makes the source refuse the questions of which a test says so.
func (w *world) refuse(which func(a ask) bool) {
	w.source.before = func(_ context.Context, a ask) error {
		if which(a) {
			return errRefused
		}
		return nil
	}
}

// incomplete makes a run that must not complete everything.
func (w *world) incomplete(s archive.Span) (archive.Summary, *archive.IncompleteError) {
	w.t.Helper()
	summary, err := w.archive(s)
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) {
		w.t.Fatalf("the run ended with %v", err)
	}
	return summary, incomplete
}

func covers(a ask, second time.Time) bool {
	return !second.Before(a.Span.From) && !second.After(a.Span.To)
}

// A second that is refused fails its own hour, which says so, and costs at most 80
// calls to find. All other records are kept. The next run asks for it once, and once it
// is answered the hour is complete.
func TestRefusedSecond(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Duration{0, 17*time.Minute + 3*time.Second, 30 * time.Minute, time.Hour - time.Second} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 100, alpha, beta)
			for n := range 24 {
				w.source.records[alpha.URN] = append(many(fmt.Sprintf("h%02d", n), hour(n), 40), w.source.records[alpha.URN]...)
			}
			w.source.records[beta.URN] = many("b", hour(2), 7)
			second := hour(2).Add(at)
			w.refuse(func(a ask) bool { return a.URN == alpha.URN && covers(a, second) })
			summary, err := w.incomplete(span(0, 24))
			got := w.db.state(alpha.URN, hour(2))
			if got.state != archive.StateFailed || got.refusal.Smallest.To.Sub(got.refusal.Smallest.From) != time.Second || !got.refusal.Stuck ||
				!covers(ask{Span: got.refusal.Smallest}, second) {
				t.Errorf("the window is %+v", got)
			}
			if !strings.Contains(err.First.Err.Error(), "smallest question") {
				t.Errorf("the run ended with %v", err)
			}
			for n := range 24 {
				want := archive.StateComplete
				if n == 2 || at == 0 && n == 1 || at == time.Hour-time.Second && n == 3 { // a question is a second wider
					want = archive.StateFailed
				}
				w.states(alpha, span(n, n+1), want)
			}
			w.states(beta, span(0, 24), archive.StateComplete)
			lost := 0
			for _, e := range w.source.records[alpha.URN] {
				if _, kept := w.db.rows[e.RequestID]; !kept {
					lost++
					if d := e.Start.Sub(second).Abs(); d > 2*time.Second {
						t.Errorf("%s is not kept, %s from the second that is refused", e.RequestID, d)
					}
				}
			}
			fewest := int64(10 + 1)
			if summary.Calls-fewest > 80+20 { // and the pages of the parts that are answered
				t.Errorf("%d calls", summary.Calls)
			}
			before := len(w.source.asked())
			w.restart()
			_, _ = w.incomplete(span(0, 24))
			if n := len(w.source.asked()) - before; n > 6 {
				t.Errorf("the next run made %d calls", n)
			}
			w.source.before = nil
			w.restart()
			w.complete(span(0, 24))
			w.all()
			w.states(alpha, span(0, 24), archive.StateComplete)
		})
	}
}

// A source that refuses wide ranges is asked for narrower ones, and only the first
// function pays for finding out.
func TestWidestRange(t *testing.T) {
	t.Parallel()
	for _, widest := range []time.Duration{24 * time.Hour, 12 * time.Hour, 2*time.Hour - time.Second} {
		t.Run(widest.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 100, named(5)...)
			for _, f := range w.source.listed[0] {
				w.source.records[f.URN] = append(many(f.Name+"b", hour(20), 7), many(f.Name+"a", hour(-40), 7)...)
			}
			w.refuse(func(a ask) bool { return a.Span.To.Sub(a.Span.From) > widest })
			a := w.archiver()
			a.Concurrency = 1
			if _, err := a.Archive(t.Context(), archive.Order{Range: archive.Span{From: hour(-40), To: hour(24)}}, new(archive.Progress)); err != nil {
				t.Fatal(err)
			}
			w.all()
			refused := make(map[string]int)
			for _, a := range w.source.asked() {
				if a.Span.To.Sub(a.Span.From) > widest {
					refused[a.URN]++
				}
			}
			if len(refused) > 2 { // functions that were asked at the same time
				t.Errorf("refused calls: %v", refused)
			}
			for urn, n := range refused {
				if n > 15 {
					t.Errorf("%d calls of %s were refused", n, urn)
				}
			}
		})
	}
}

// A begin that is too old is found in at most 25 calls, and what lies before is expired.
func TestEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100, alpha)
	edge := w.clock.Now().Add(-5*24*time.Hour - 7*time.Minute)
	w.source.records[alpha.URN] = append(many("new", hour(20), 7), settled("old", edge.Add(10*time.Minute)))
	w.refuse(func(a ask) bool { return a.Span.From.Before(edge) })
	s := archive.Span{From: hour(-24 * 20), To: hour(24)}
	summary := w.complete(s)
	w.all()
	if summary.Calls > 25+4 {
		t.Errorf("%d calls", summary.Calls)
	}
	for h := s.From; h.Before(s.To); h = h.Add(archive.Hour) {
		want := archive.StateComplete
		if h.Add(-time.Second).Before(edge) {
			want = archive.StateExpired
		}
		if got := w.db.state(alpha.URN, h); got.state != want || got.expired.Missed {
			t.Fatalf("%s is %+v, want %s", h, got, want)
		}
	}
}

// Pages that are too large are asked for in smaller ones. A record that no page gives
// fails its hour, and the hours next to it are complete.
func TestFailingPages(t *testing.T) {
	t.Parallel()
	t.Run("size", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 100, alpha, beta)
		w.source.fullPage = 100
		w.source.records[alpha.URN] = many("a", hour(3), 70)
		w.source.records[beta.URN] = many("b", hour(3), 70)
		w.refuse(func(a ask) bool { return a.limit == 0 || a.limit > 30 })
		w.complete(span(0, 24))
		w.all()
	})
	t.Run("newest record", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 20, alpha)
		w.source.fullPage = 20
		w.source.records[alpha.URN] = append(many("b", hour(1), 5), many("a", hour(0), 5)...)
		w.failsWith(w.source.records[alpha.URN][0])
		_, _ = w.incomplete(span(0, 9))
		w.states(alpha, span(0, 1), archive.StateComplete)
		w.states(alpha, span(1, 2), archive.StateFailed)
		w.states(alpha, span(2, 9), archive.StateComplete) // no record tells where the one that fails may lie
	})
	t.Run("record", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 20, alpha)
		w.source.fullPage = 20
		for n := range 5 {
			w.source.records[alpha.URN] = append(many(fmt.Sprintf("h%02d", n), hour(n), 19), w.source.records[alpha.URN]...)
		}
		bad := w.source.records[alpha.URN][44] // in hour 2
		w.failsWith(bad)
		_, _ = w.incomplete(span(0, 5))
		w.states(alpha, span(0, 5), archive.StateComplete, archive.StateComplete, archive.StateFailed, archive.StateComplete, archive.StateComplete)
		if got := w.db.state(alpha.URN, hour(2)).refusal.Smallest; !covers(ask{Span: got}, bad.Start.Truncate(time.Second)) || got.To.Sub(got.From) > 10*time.Minute {
			t.Errorf("the smallest question is %s", seconds(got))
		}
		if n := len(w.db.ids()); n != 5*19-1 {
			t.Errorf("%d records are kept", n)
		}
	})
}

// failsWith makes pages fail that have this record.
func (w *world) failsWith(bad element) {
	w.source.before = func(_ context.Context, a ask) error {
		w.source.mu.Lock()
		defer w.source.mu.Unlock()
		p := w.source.page(a)
		for i := range p.Invocations {
			if p.Invocations[i].RequestID == bad.RequestID {
				return errServer
			}
		}
		return nil
	}
}

// offsets is a fakeSource whose cursors are offsets.
type offsets struct{ *fakeSource }

func (offsets) CursorAt(offset int) archive.Cursor { return archive.Cursor(fmt.Sprint(offset)) }

// One function of sixty that is denied fails alone. If all are, the permission is
// missing, and most functions are not asked for.
func TestDeniedFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100, named(60)...)
	for _, f := range w.source.listed[0] {
		w.source.records[f.URN] = many(f.Name, hour(3), 3)
	}
	w.source.errs["urn:007"] = fmt.Errorf("403: %w", archive.ErrDenied)
	summary, err := w.incomplete(span(0, 24))
	if summary.Complete != 59*24 || summary.Failed != 24 || !errors.Is(err.First.Err, archive.ErrDenied) {
		t.Errorf("%+v: %v", summary.Totals, err)
	}

	w = newWorld(t, 100, named(60)...)
	w.source.before = func(context.Context, ask) error { return fmt.Errorf("403: %w", archive.ErrDenied) }
	if _, err := w.archive(span(0, 24)); !errors.Is(err, archive.ErrDenied) {
		t.Errorf("the run ended with %v", err)
	}
	if n := len(w.source.asked()); n < manyDenied || n > manyDenied+2*pagesPerCall {
		t.Errorf("%d functions were asked for", n)
	}
}

// A function that whole lists do not name any more does not fail the run. After as long
// as the source keeps records it is gone.
func TestProbablyDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100, alpha, beta)
	w.source.records[beta.URN] = many("b", hour(3), 3)
	w.complete(span(0, 4))
	w.source.listed = [][]archive.Function{{beta}}
	w.source.errs[alpha.URN] = errServer
	for i := range w.db.functions {
		if w.db.functions[i].URN == alpha.URN {
			w.db.functions[i].Missing = w.clock.Now()
		}
	}
	a := w.archiver()
	a.SourceRetention = 30 * 24 * time.Hour
	again := func() error {
		_, err := a.Archive(t.Context(), archive.Order{Range: span(0, 6)}, new(archive.Progress))
		return err
	}
	if err := again(); err != nil {
		t.Errorf("the run ended with %v", err)
	}
	w.clock.Advance(31 * 24 * time.Hour)
	if err := again(); err != nil {
		t.Errorf("the run ended with %v", err)
	}
	w.states(alpha, span(4, 6), archive.StateGone)
}
