package loop

import (
	"errors"
	"slices"
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

// A record that the archive holds, and that has moved to another hour since, is not
// forgotten: the hour that it has left is complete with less. A record of the second after
// that hour does not stand for it.
func TestCompletedByLessThatMoved(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.limit, w.source.listed = 10, [][]archive.Function{{alpha}}
	from, to := day(5), day(5).Add(archive.Hour)
	end := to.Add(archive.Hour)
	w.source.records[alpha.URN] = slices.Concat(many("c", end, 1), many("b", to, 15), many("a", from, 15))
	order := archive.Order{Range: archive.Span{From: from, To: end.Add(archive.Hour)}}
	w.dieAfter(2)
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); !errors.Is(err, errDead) {
		t.Fatalf("the run that died ended with %v", err)
	}
	w.restart()
	a.Store = w.store
	list := w.source.records[alpha.URN]
	list[4] = settled(list[4].RequestID, from) // it was archived at another time
	w.source.move(alpha.URN, 4, len(list)-1)
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err != nil {
		t.Error(err)
	}
	w.all()
	w.states(alpha, order.Range, archive.StateComplete)
}
