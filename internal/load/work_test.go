package load

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// A history is what earlier runs left of a function.
type history struct {
	ended map[archive.State][]archive.Span
	open  []archive.Walk // begun, and not ended
	fails []archive.Span // of open, or not begun
	// found are hours of records that were found while other hours were read.
	found []int
}

func (h history) make(t *testing.T, c *claim) {
	t.Helper()
	// Gone comes first, because it changes all windows that are open then. It is so long
	// ago that the function is asked again.
	if spans := h.ended[archive.StateGone]; spans != nil {
		if err := c.Gone(t.Context(), spans, noted.AddDate(0, 0, -2)); err != nil {
			t.Fatal(err)
		}
	}
	for state, spans := range h.ended {
		for _, s := range spans {
			if state != archive.StateGone {
				b := lastPage(s, noted)
				b.Outcome.State = state
				commit(t, c, b)
			}
		}
	}
	for _, w := range h.open {
		b := page(w.Span, noted)
		b.Walk = w
		commit(t, c, b)
	}
	for _, s := range h.fails {
		if _, err := c.Fail(t.Context(), s, archive.Refusal{Reason: "down"}, noted); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range h.found {
		b := lastPage(span(100, 101), noted, record(fmt.Sprint(c.function.Name, i), archive.StatusSuccess, hour(n)))
		commit(t, c, b)
	}
}

func TestDueAndWork(t *testing.T) {
	t.Parallel()
	type states = map[archive.State][]archive.Span
	all := span(0, 6)
	walk := func(s archive.Span) archive.Walk {
		return archive.Walk{Span: s, Cursor: "page 2", Seen: 500}
	}
	for name, test := range map[string]struct {
		history history
		order   archive.Order
		open    []archive.Walk
		windows []int // hours
		oldest  int   // what Due says, where there is something due
		newest  int   // the same; 0 for the last hour of the range
		due     int   // how many windows Due counts; -1 for none
	}{
		"nothing known": {
			order: archive.Order{Range: all}, windows: []int{0, 1, 2, 3, 4, 5}, due: 6,
		},
		"empty range": {order: archive.Order{Range: span(3, 3), Older: true}, due: -1},
		"complete": {
			history: history{ended: states{archive.StateComplete: {all}}},
			order:   archive.Order{Range: all, Older: true}, due: -1,
		},
		"complete, forced": {
			history: history{ended: states{archive.StateComplete: {span(0, 2)}}},
			order:   archive.Order{Range: span(0, 2), Force: true}, windows: []int{0, 1}, due: 2,
		},
		"each state": {
			history: history{ended: states{
				archive.StateComplete: {span(0, 1)}, archive.StateShort: {span(1, 2)}, archive.StateGone: {span(2, 3)},
				archive.StatePending: {span(3, 4)}, archive.StateFailed: {span(4, 5)},
			}},
			order: archive.Order{Range: all}, windows: []int{1, 3, 4, 5}, due: 4, oldest: 1,
		},
		"failed without having begun": {
			history: history{fails: []archive.Span{span(2, 4)}},
			order:   archive.Order{Range: all}, windows: []int{0, 1, 2, 3, 4, 5}, due: 6,
		},
		"found by chance, not asked for": {
			history: history{found: []int{-5, 2}},
			order:   archive.Order{Range: span(2, 3), Older: true}, windows: []int{2}, oldest: 2, due: 1,
		},
		"begun": {
			history: history{open: []archive.Walk{walk(span(1, 4))}},
			order:   archive.Order{Range: all},
			open:    []archive.Walk{walk(span(1, 4))}, windows: []int{0, 4, 5}, due: 6,
		},
		"begun and failed": {
			history: history{open: []archive.Walk{walk(span(1, 4))}, fails: []archive.Span{span(1, 4)}},
			order:   archive.Order{Range: all},
			open:    []archive.Walk{walk(span(1, 4))}, windows: []int{0, 4, 5}, due: 6,
		},
		"begun again from its first page": {
			history: history{open: []archive.Walk{{Span: span(1, 2)}}},
			order:   archive.Order{Range: span(1, 2)},
			open:    []archive.Walk{{Span: span(1, 2)}}, oldest: 1, due: 1,
		},
		"begun, crossing both ends": {
			history: history{open: []archive.Walk{walk(span(-2, 2)), walk(span(4, 8))}},
			order:   archive.Order{Range: all},
			open:    []archive.Walk{walk(span(-2, 2)), walk(span(4, 8))}, windows: []int{2, 3}, due: 6,
		},
		"begun outside of the range": {
			history: history{open: []archive.Walk{walk(span(-2, 0)), walk(span(6, 8))}},
			order:   archive.Order{Range: all}, windows: []int{0, 1, 2, 3, 4, 5}, due: 6,
		},
		"begun before the range, older too": {
			history: history{open: []archive.Walk{walk(span(-4, -2))}, ended: states{archive.StateComplete: {all}}},
			order:   archive.Order{Range: all, Older: true},
			open:    []archive.Walk{walk(span(-4, -2))}, oldest: -4, newest: -3, due: 2,
		},
		"older": {
			history: history{ended: states{
				archive.StateComplete: {span(-9, -8), span(-3, 0)}, archive.StateShort: {span(-8, -7)},
				archive.StateFailed: {span(-6, -5)}, archive.StateGone: {span(-5, -4)}, archive.StatePending: {span(-4, -3)},
			}},
			order: archive.Order{Range: span(0, 1), Older: true}, windows: []int{-8, -6, -4, 0}, oldest: -8, due: 4,
		},
		"older, not asked for": {
			history: history{ended: states{archive.StateFailed: {span(-8, -7)}}},
			order:   archive.Order{Range: span(0, 1)}, windows: []int{0}, due: 1,
		},
		"older is not forced": {
			history: history{ended: states{archive.StateComplete: {span(-2, 1)}}},
			order:   archive.Order{Range: span(0, 1), Older: true, Force: true}, windows: []int{0}, due: 1,
		},
		"across the end of summer time": { // which UTC does not have
			order:   archive.Order{Range: archive.Span{From: hour(24*15 - 1), To: hour(24*15 + 4)}},
			windows: []int{359, 360, 361, 362, 363}, oldest: 359, due: 5,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			f, other := a.Function("f"), a.Function("other")
			// The windows and walks of another function change nothing.
			history{
				ended: states{archive.StateFailed: {span(-1, 0)}, archive.StateComplete: {span(0, 400)}},
				open:  []archive.Walk{walk(span(-9, -7))},
			}.make(t, a.claim(other))
			before := a.claim(f)
			test.history.make(t, before)
			if err := before.Release(t.Context()); err != nil {
				t.Fatal(err)
			}

			due, err := a.store.Due(t.Context(), []archive.Known{f}, test.order, noted)
			if err != nil {
				t.Fatal(err)
			}
			var wantDue []archive.Due
			if test.due >= 0 {
				newest := test.order.Range.To.Add(-archive.Hour)
				if test.newest != 0 {
					newest = hour(test.newest)
				}
				wantDue = []archive.Due{{Known: f, Windows: test.due, Oldest: hour(test.oldest), Newest: newest, Settings: test.due > 0}}
			}
			if diff := cmp.Diff(wantDue, due); diff != "" && len(due)+len(wantDue) > 0 {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			work, err := a.claim(f).Work(t.Context(), test.order, noted)
			if err != nil {
				t.Fatal(err)
			}
			var windows []int
			for _, w := range work.Windows {
				windows = append(windows, int(w.Sub(today)/archive.Hour))
			}
			if diff := cmp.Diff(test.windows, windows); diff != "" {
				t.Errorf("windows (-want +got):\n%s", diff)
			}
			if !slices.Equal(test.open, work.Open) {
				t.Errorf("open walks: %+v, want %+v", work.Open, test.open)
			}
		})
	}
}

// The function with the oldest window comes first, because the source forgets that
// window first.
func TestDueOrder(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	few, many, old, done := a.Function("few"), a.Function("many"), a.Function("old"), a.Function("done")
	commit(t, a.claim(few), lastPage(span(0, 5), noted))
	commit(t, a.claim(done), lastPage(span(0, 6), noted))
	if _, err := a.claim(old).Fail(t.Context(), span(-3, -2), archive.Refusal{Reason: "down"}, noted); err != nil {
		t.Fatal(err)
	}
	due, err := a.store.Due(t.Context(), []archive.Known{done, few, many, old}, archive.Order{Range: span(0, 6), Older: true}, noted)
	if err != nil {
		t.Fatal(err)
	}
	want := []archive.Due{
		{Known: old, Windows: 7, Oldest: hour(-3), Newest: hour(5), Settings: true},
		{Known: many, Windows: 6, Oldest: hour(0), Newest: hour(5), Settings: true},
		{Known: few, Windows: 1, Oldest: hour(5), Newest: hour(5), Settings: true},
	}
	if diff := cmp.Diff(want, due); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if due, err := a.store.Due(t.Context(), nil, archive.Order{Range: span(0, 6)}, noted); err != nil || len(due) != 0 {
		t.Errorf("of no functions: %v, %v", due, err)
	}
}

// A walk that has ended is not in Work again, even if another process began it.
func TestWorkResumesAndEnds(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	s := span(0, 3)
	order := archive.Order{Range: s}
	first := a.claim(f)
	commit(t, first, page(s, noted, many(5, s, "r")...))
	if got := a.Rows(`SELECT DISTINCT state FROM windows`); !slices.Equal(got, []string{"(partial)"}) {
		t.Errorf("begun windows are %v", got)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := a.claim(f)
	work, err := second.Work(t.Context(), order, noted)
	if err != nil || len(work.Open) != 1 || len(work.Windows) != 0 {
		t.Fatalf("%+v, %v", work, err)
	}
	archived := map[string]bool{}
	for id, err := range second.Archived(t.Context(), s) {
		if err != nil {
			t.Fatal(err)
		}
		archived[id] = true
	}
	if len(archived) != 5 {
		t.Errorf("%d ids are archived: %v", len(archived), archived)
	}
	commit(t, second, lastPage(work.Open[0].Span, later, many(8, s, "r")...))
	if work, err = second.Work(t.Context(), order, noted); err != nil || len(work.Open)+len(work.Windows) != 0 {
		t.Errorf("after the end: %+v, %v", work, err)
	}
	if got := a.Rows(`SELECT state, records, source_count FROM windows ORDER BY window_start`); !slices.Equal(got,
		[]string{"(complete,3,3)", "(complete,3,3)", "(complete,2,2)"}) {
		t.Errorf("windows: %v", got)
	}
}

// Archived yields the ids that a resumed walk may find again: of this function only,
// from one second before the span to one second after it, and those without a start.
func TestArchived(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	s := span(23, 25)
	commit(t, c, page(s, noted,
		record("before", "SUCCESS", s.From.Add(-time.Second-time.Microsecond)), record("first", "SUCCESS", s.From.Add(-time.Second)),
		record("last", "SUCCESS", s.To.Add(time.Second)), record("after", "SUCCESS", s.To.Add(time.Second+time.Microsecond)),
		record("inside", "FAIL", hour(24)), record("discarded", "DISCARD", time.Time{}), record("waiting", "WAIT", time.Time{})))
	commit(t, a.newClaim("g"), page(s, noted, record("another's", "SUCCESS", s.From)))
	var got []string
	for id, err := range c.Archived(t.Context(), s) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"discarded", "first", "inside", "last", "waiting"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, err := range c.Archived(t.Context(), s) {
		if err != nil {
			t.Error(err)
		}
		break // leaving the loop gives the connection back
	}
}
