package loop

import (
	"testing"

	"archiver/internal/archive"
)

// A count that the source once gave of a window is remembered through failures: an old
// window is not completed by less, even if it is read by force.
func TestNotCompletedByLessAfterFailure(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.records[alpha.URN] = append(many("n", day(9), 3), many("a", day(5), 30)...)
	w.source.hidden["a-0003"] = true
	order := archive.Order{Range: archive.Span{From: day(5), To: day(10)}}
	archived := func() {
		t.Helper()
		if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err == nil {
			t.Fatal("the run ended as if all were well")
		}
	}
	archived()
	w.source.errs[alpha.URN] = errServer
	archived()
	w.states(alpha, archive.Span{From: day(5), To: day(5).Add(archive.Hour)}, archive.StateFailed)
	delete(w.source.errs, alpha.URN)
	delete(w.source.hidden, "a-0003")
	w.source.records[alpha.URN] = w.source.records[alpha.URN][:32] // the source forgets the oldest
	archived()
	w.expired(alpha, day(5), archive.Expired{Missed: true})
	order.Force = true
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	w.expired(alpha, day(5), archive.Expired{Missed: true})
}
