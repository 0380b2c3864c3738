package loop

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
)

// A ceiling is how a source cuts off.
type ceiling struct {
	at      int
	count   string // true, clipped or absent
	refuses bool   // pages beyond the ceiling are refused, else they are empty
	only    string // of one function
}

// ceil makes the source cut off: it gives no more than the newest records of a question.
func (w *world) ceil(c ceiling) archive.Source {
	if c.count == "absent" {
		w.source.count = countAbsent
	}
	return ceiled{offsets{w.source}, c}
}

type ceiled struct {
	offsets
	cut ceiling
}

func (c ceiled) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		given := 0
		if n, err := fmt.Sscan(string(q.Cursor), &given); q.Cursor != "" && (n != 1 || err != nil) {
			panic(q.Cursor)
		}
		if c.cut.refuses && given >= c.cut.at {
			yield(archive.Page{}, errRefused)
			return
		}
		for page, err := range c.offsets.Pages(ctx, q) {
			if err != nil || c.cut.only != "" && q.Function.URN != c.cut.only {
				if !yield(page, err) {
					return
				}
				continue
			}
			if c.cut.count == "clipped" && page.Count > c.cut.at {
				page.Count = c.cut.at
			}
			if left := c.cut.at - given; page.Len() > left {
				page.Invocations = slices.Clone(page.Invocations[:max(left, 0)])
				page.Last = !c.cut.refuses
			} else if page.Len() == left && !c.cut.refuses {
				page.Last = true
			}
			given += page.Len()
			page.Next = archive.Cursor(fmt.Sprint(given))
			if !yield(page, nil) || page.Last {
				return
			}
			if c.cut.refuses && given >= c.cut.at {
				yield(archive.Page{}, errRefused)
				return
			}
		}
	}
}

// A source that cuts off at any number from one page up loses no record: the questions
// become smaller until they are proven.
func TestCeilings(t *testing.T) {
	t.Parallel()
	for _, at := range []int{10, 11, 19, 20, 37} {
		for _, count := range []string{"true", "clipped", "absent"} {
			for _, refuses := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d, count %s, refuses %v", at, count, refuses), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, 10, alpha, beta)
					w.source.fullPage = 10
					w.source.records[alpha.URN] = slices.Concat(many("c", hour(5), 90), many("b", hour(3), 25), many("a", hour(2), 3))
					w.source.records[beta.URN] = many("d", hour(5), 7)
					a := w.archiver()
					a.Source = w.ceil(ceiling{at: at, count: count, refuses: refuses})
					summary, err := a.Archive(t.Context(), archive.Order{Range: span(0, 8)}, new(archive.Progress))
					if err != nil {
						t.Fatal(err)
					}
					w.all()
					w.states(alpha, span(0, 8), archive.StateComplete)
					t.Logf("%d calls", summary.Calls)
				})
			}
		}
	}
}

// A count is proven at no cost: after the first page the time up to its last record is
// asked for. Afterwards smaller counts are believed.
func TestProofCostsNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	w.source.fullPage = 10
	w.source.records[alpha.URN] = many("a", hour(3), 95)
	w.source.records[beta.URN] = many("b", hour(3), 45)
	summary := w.complete(span(0, 8))
	w.all()
	if summary.Calls > 10+5+1 { // the records of one second come twice
		t.Errorf("%d calls", summary.Calls)
	}
	proven := slices.IndexFunc(w.db.learned, func(l archive.Learned) bool { return l.What == archive.LearnedProven })
	if proven < 0 || w.db.learned[proven].Value < 95 {
		t.Errorf("learned: %+v", w.db.learned)
	}
}

// A function that gives the same count for a second span has a ceiling of its own,
// below what the source has proven: both spans are read in parts.
func TestCeilingOfOneFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha, beta)
	w.source.fullPage = 10
	w.source.records[beta.URN] = many("b", hour(3), 95)
	w.source.records[alpha.URN] = slices.Concat(many("c", hour(6), 60), many("a", hour(4), 60))
	a := w.archiver()
	a.Concurrency = 1
	a.Source = w.ceil(ceiling{at: 20, count: "clipped", only: alpha.URN})
	archiveHour := func(n int) {
		t.Helper()
		if _, err := a.Archive(t.Context(), archive.Order{Range: span(n, n+1)}, new(archive.Progress)); err != nil {
			t.Fatal(err)
		}
	}
	archiveHour(3)
	archiveHour(4)
	if n := len(w.db.ids()); n >= 95+60 {
		t.Fatalf("%d records are kept", n)
	}
	archiveHour(6)
	w.all()
	w.states(alpha, span(6, 7), archive.StateComplete)
}

// Counts that jitter prove nothing, and nothing is learned of them.
func TestSumThatMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.fullPage = 10
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	n := 0
	w.source.before = func(context.Context, ask) error {
		w.source.mu.Lock()
		defer w.source.mu.Unlock()
		if n++; n < 400 {
			at := hour(3).Add(time.Duration(n*7%3600) * time.Second)
			w.source.records[alpha.URN] = append([]element{settled(fmt.Sprintf("new-%d", n), at)}, w.source.records[alpha.URN]...)
		}
		return nil
	}
	if _, err := w.archive(span(3, 4)); err == nil {
		for _, e := range w.source.records[alpha.URN] {
			if _, kept := w.db.rows[e.RequestID]; !kept {
				t.Errorf("complete, and %s is not kept", e.RequestID)
			}
		}
	}
	for _, l := range w.db.learned {
		if l.What == archive.LearnedCeiling && l.Value > 0 {
			t.Errorf("learned: %+v", l)
		}
	}
}

// Parts of a window that were read long before the others are counted again before the
// window is complete.
func TestPartsFarApart(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		w := newWorld(t, 10, alpha)
		w.source.fullPage = 10
		w.source.records[alpha.URN] = many("a", hour(3), 60)
		a := w.archiver()
		a.Source = w.ceil(ceiling{at: 20, count: "clipped"})
		calls := 0
		w.source.after = func(ask) {
			if calls++; calls == 25 {
				w.clock.Advance(20 * time.Minute)
				if late {
					w.source.arrive(alpha.URN, 60, settled("late", hour(3).Add(30*time.Second)))
				}
			}
		}
		_, err := a.Archive(t.Context(), archive.Order{Range: span(3, 4)}, new(archive.Progress))
		if calls < 26 || (err != nil) != late {
			t.Errorf("late %v: %v after %d calls", late, err, calls)
		}
		w.restart()
		a.Store = w.store
		if _, err := a.Archive(t.Context(), archive.Order{Range: span(3, 4)}, new(archive.Progress)); err != nil {
			t.Fatal(err)
		}
		w.all()
		w.states(alpha, span(3, 4), archive.StateComplete)
	}
}
