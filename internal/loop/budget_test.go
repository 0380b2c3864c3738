package loop

import (
	"fmt"
	"testing"
	"time"

	"archiver/internal/archive"
)

// If a second of each hour is refused, a run makes at most maxNarrowing calls to find out
// which, and asks for every hour all the same. The next runs go on from there, until all
// other records are kept.
func TestNarrowingHasABound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 500, alpha)
	w.source.fullPage = 500
	poison := make(map[int]time.Time)
	for n := range 24 {
		w.source.records[alpha.URN] = append(many(fmt.Sprintf("h%02d", n), hour(n), 40), w.source.records[alpha.URN]...)
		poison[n] = hour(n).Add(time.Duration(n*97+13) * time.Second)
	}
	refused := 0
	w.refuse(func(a ask) bool {
		for _, second := range poison {
			if covers(a, second) {
				refused++
				return true
			}
		}
		return false
	})
	for run := range 13 {
		refused = 0
		if summary, _ := w.incomplete(span(0, 24)); summary.Failed == 0 {
			t.Errorf("run %d: no window failed", run)
		}
		if refused > maxNarrowing+24 { // whole hours are asked for in any case
			t.Errorf("run %d: %d questions were refused", run, refused)
		}
	}
	for n := range 24 {
		if got := w.db.state(alpha.URN, hour(n)); got.state != archive.StateFailed || !got.refusal.Stuck || !covers(ask{Span: got.refusal.Smallest}, poison[n]) {
			t.Errorf("hour %d is %+v", n, got)
		}
	}
	for _, e := range w.source.records[alpha.URN] {
		if _, kept := w.db.rows[e.RequestID]; !kept && e.Start.Sub(poison[e.Start.Hour()]).Abs() > 2*time.Second {
			t.Errorf("%s of %s is not kept", e.RequestID, e.Start.Format(time.TimeOnly))
		}
	}
}

// The next run goes on with all parts of an hour that are left. Of a part with unusable
// records, the smallest question that fails is not known.
func TestPartsThatAreLeft(t *testing.T) {
	t.Parallel()
	halves, _ := questionOf(span(2, 3)).halves()
	failed := func(n int) answer {
		return answer{question: halves[n], end: endFailed, smallest: halves[n].asked()}
	}
	unusable := func(n int) answer { return answer{question: halves[n], end: endUnusable} }
	whole := archive.Span{From: halves[0].from, To: halves[1].to}
	for name, test := range map[string]struct {
		got  [2]answer
		want archive.Span
	}{
		"both":           {[2]answer{failed(0), failed(1)}, whole},
		"newer unusable": {[2]answer{failed(0), unusable(1)}, halves[0].asked()},
		"older unusable": {[2]answer{unusable(0), failed(1)}, archive.Span{}},
		"older":          {[2]answer{failed(0), {question: halves[1], end: endWhole}}, halves[0].asked()},
	} {
		if a := joined(questionOf(span(2, 3)), test.got); a.smallest != test.want {
			t.Errorf("%s: %s", name, seconds(a.smallest))
		}
	}
}
