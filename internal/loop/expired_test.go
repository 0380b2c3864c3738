package loop

import (
	"context"
	"errors"
	"testing"
	"time"

	"archiver/internal/archive"
)

// expiry is a world whose clock stands ten days after midnight, and a source that keeps
// its records for seven days.
func expiry(t *testing.T) (*world, *Archiver) {
	t.Helper()
	w := newWorld(t, 100, alpha, beta)
	w.clock.Advance(9 * 24 * time.Hour)
	a := w.archiver()
	a.SourceRetention = 7 * 24 * time.Hour
	return w, a
}

func day(n int) time.Time { return hour(24 * n) }

func (w *world) expired(f archive.Function, at time.Time, want archive.Expired) {
	w.t.Helper()
	if got := w.db.state(f.URN, at); got.state != archive.StateExpired || got.expired != want {
		w.t.Errorf("%s %s is %+v, want expired, %+v", f.Name, at, got, want)
	}
}

// What is older than the source keeps records is expired, even if records came: no error if the
// function is new.
func TestTooOld(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.records[alpha.URN] = append(many("new", day(8), 7), many("old", day(1), 7)...)
	s := archive.Span{From: day(0), To: day(10)}
	summary, err := a.Archive(t.Context(), archive.Order{Range: s}, new(archive.Progress))
	if err != nil {
		t.Fatal(err)
	}
	w.all()
	w.expired(alpha, day(1), archive.Expired{Bare: true})
	w.expired(alpha, day(2), archive.Expired{Bare: true})
	w.states(alpha, archive.Span{From: day(8), To: day(10)}, archive.StateComplete)
	if summary.Missed != 0 || summary.Expired+summary.Complete != summary.Done || summary.Done != 2*240 {
		t.Errorf("the summary is %+v", summary.Totals)
	}
}

// A window that failed while the source still had it, and is older now, was missed.
func TestMissed(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.records[beta.URN] = many("b", day(3), 7)
	w.source.errs[alpha.URN] = errServer
	order := archive.Order{Range: archive.Span{From: day(4), To: day(10)}, Older: true}
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err == nil {
		t.Fatal("the run ended as if all were well")
	}
	delete(w.source.errs, alpha.URN)
	w.clock.Advance(2 * 24 * time.Hour)
	order.Range = archive.Span{From: day(4), To: day(12)}
	_, err := a.Archive(t.Context(), order, new(archive.Progress))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Missed == 0 || incomplete.Failed != 0 {
		t.Fatalf("the run ended with %v", err)
	}
	w.expired(alpha, day(4), archive.Expired{Missed: true, Bare: true})
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err != nil {
		t.Errorf("the next run ended with %v", err)
	}
}

// Hours that gave nothing are believed for three days, and as far back as some record
// was seen. Once an older record is seen, they are complete.
func TestUnproven(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.records[alpha.URN] = many("a", day(6), 7)
	order := archive.Order{Range: archive.Span{From: day(4), To: day(10)}}
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []archive.Function{alpha, beta} {
		w.expired(f, day(5), archive.Expired{Unproven: true})
		w.states(f, archive.Span{From: day(6).Add(archive.Hour), To: day(10)}, archive.StateComplete)
	}
	w.source.records[beta.URN] = many("b", day(3), 7)
	order.Range.From = day(3)
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	w.states(alpha, archive.Span{From: day(4), To: day(10)}, archive.StateComplete)
}

// However long a source takes to answer, the first hour of a function that is new to the
// archive was not missed.
func TestUnprovenBySlowSource(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.records[alpha.URN] = []element{settled("a", day(5).Add(time.Minute))}
	w.source.before = func(context.Context, ask) error {
		w.clock.Advance(5 * time.Minute)
		return nil
	}
	order := archive.Order{Range: archive.Span{From: day(4), To: day(10)}}
	if summary, err := a.Archive(t.Context(), order, new(archive.Progress)); err != nil {
		t.Fatalf("%v, %+v", err, summary.Totals)
	}
	w.all()
	w.expired(alpha, day(5), archive.Expired{Unproven: true})
}

// Quiet hours are complete if the source has an older record: it is asked for one.
func TestAsksForOneOlderRecord(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.records[alpha.URN] = many("a", day(3).Add(20*archive.Hour), 1)
	w.source.records[beta.URN] = many("b", day(9), 3)
	order := archive.Order{Range: archive.Span{From: day(4), To: day(10)}}
	summary, err := a.Archive(t.Context(), order, new(archive.Progress))
	if err != nil || summary.Expired != 0 || summary.Complete != 2*144 {
		t.Errorf("%v, %+v", err, summary.Totals)
	}
	w.states(beta, archive.Span{From: day(4), To: day(10)}, archive.StateComplete)
}

// A window that an earlier run saw more of is never completed by a smaller count.
func TestNeverCompletedByLess(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.records[alpha.URN] = append(many("n", day(9), 3), many("a", day(5), 30)...)
	w.source.hidden["a-0003"] = true
	order := archive.Order{Range: archive.Span{From: day(5), To: day(10)}}
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err == nil {
		t.Fatal("the run ended as if all were well")
	}
	w.states(alpha, archive.Span{From: day(5), To: day(5).Add(archive.Hour)}, archive.StateShort)
	w.source.records[alpha.URN] = w.source.records[alpha.URN][:20] // the source forgets the oldest
	_, err := a.Archive(t.Context(), order, new(archive.Progress))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Missed != 1 {
		t.Errorf("the run ended with %v", err)
	}
	w.expired(alpha, day(5), archive.Expired{Missed: true})
}

// A walk that resumes does not make windows complete of which nothing came.
func TestUnprovenAfterACrash(t *testing.T) {
	t.Parallel()
	w, a := expiry(t)
	w.source.limit = 10
	w.source.records[alpha.URN] = many("a", day(8), 35)
	order := archive.Order{Range: archive.Span{From: day(4), To: day(10)}}
	w.dieAfter(2)
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); !errors.Is(err, errDead) {
		t.Fatalf("the run that died ended with %v", err)
	}
	w.restart()
	a.Store = w.store
	if _, err := a.Archive(t.Context(), order, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	w.all()
	w.expired(alpha, day(5), archive.Expired{Unproven: true})
	w.states(alpha, archive.Span{From: day(8), To: day(10)}, archive.StateComplete)
}
