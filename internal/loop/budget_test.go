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
