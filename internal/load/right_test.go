package load

import (
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
)

// An earlier run had a clock that was far ahead. No time that it wrote hides an hour, and no
// function, from a run whose clock is right.
func TestClockWasAhead(t *testing.T) {
	t.Parallel()
	const days = 410
	a := newArchive(t)
	now, ahead := hour(6).Add(7*time.Minute), noted.AddDate(0, 0, days)
	c := a.newClaim("f")
	f := c.function
	flying := record("flies", archive.StatusRunning, hour(2).Add(time.Minute))
	commit(t, c, lastPage(span(0, 3), ahead, record("r", archive.StatusSuccess, hour(1)), flying))
	if _, err := c.Fail(t.Context(), span(3, 4), archive.Refusal{Reason: "400", Stuck: true, Smallest: archive.Span{From: hour(3), To: hour(3).Add(time.Second)}}, ahead); err != nil {
		t.Fatal(err)
	}
	// Hours that have not ended: one that lasts, some with a record, and an open walk.
	commit(t, c, lastPage(span(6, 7), ahead))
	future := 24 * days
	commit(t, c, lastPage(span(future-9, future-4), ahead, record("early", archive.StatusSuccess, hour(future-8))))
	commit(t, c, page(span(future-4, future), ahead, record("open", archive.StatusSuccess, hour(future-3))))
	for _, l := range []archive.Learned{{What: archive.LearnedProven, Value: 9, At: ahead}, {What: archive.LearnedPage, Value: 9, At: now}} {
		if err := a.store.Learn(t.Context(), loadtest.Source, []archive.Learned{l}); err != nil {
			t.Fatal(err)
		}
	}
	// One function is gone, one is missing from lists.
	list(t, a, ahead, nil, "f", "gone", "missing")
	a.Exec(`UPDATE functions SET gone_at = $1, gone_asked_at = $1 WHERE function_name = 'gone'`, ahead)
	a.Exec(`UPDATE functions SET settings_asked_at = $1`, ahead)

	for range 2 {
		if err := a.store.SetRight(t.Context(), loadtest.Source, now); err != nil {
			t.Fatal(err)
		}
		a.CheckWindows()
		a.CheckTotals()
	}
	if got := a.Rows(`SELECT window_start < $1, state, planned, records FROM windows WHERE planned OR records > 0 ORDER BY window_start`, now); !slices.Equal(got, []string{
		"(t,complete,t,0)", "(t,complete,t,1)", "(t,complete,t,1)", "(t,failed,t,0)", "(f,pending,f,1)", "(f,pending,f,1)",
	}) {
		t.Errorf("the windows are %v", got)
	}
	if n := value[int](a, `SELECT count(*) FROM walks`); n != 0 {
		t.Errorf("%d walks are open", n)
	}
	if got, err := a.store.Learned(t.Context(), loadtest.Source, now.Add(-archive.LearnedLife)); err != nil || len(got) != 1 || got[0].What != archive.LearnedPage {
		t.Errorf("learned is %v, %v", got, err)
	}

	list(t, a, now, nil, "f")
	unseen := unlisted(t, a, now)
	if len(unseen) != 2 || unseen["missing"].Missing.IsZero() || unseen["gone"].Gone.After(now) || unseen["missing"].FirstSeen.After(now) {
		t.Errorf("unlisted are %+v", unseen)
	}
	o := archive.Order{AskedBy: "run", Range: span(0, 6), Older: true, Follow: true, VerifyAfter: 6 * time.Hour, Rest: true}
	due, err := a.store.Due(t.Context(), []archive.Known{f}, o, now)
	if err != nil || len(due) != 1 || due[0].Windows != 3 || due[0].Waiting != 0 || !due[0].Settings {
		t.Errorf("due are %+v, %v", due, err)
	}
	old := archive.Order{AskedBy: "run", Range: span(6, 6), Older: true}
	if due, err := a.store.Due(t.Context(), []archive.Known{f}, old, now); err != nil || len(due) != 1 || due[0].Windows != 1 || due[0].Waiting != 0 {
		t.Errorf("due of older windows are %+v, %v", due, err)
	}
	for _, o := range []archive.Order{{Range: span(1, 1), Follow: true}, {Range: span(0, 3), VerifyAfter: 6 * time.Hour, Older: true}} {
		if due, err := a.store.Due(t.Context(), []archive.Known{f}, o, now); err != nil || len(due) != 1 {
			t.Errorf("of %+v, due are %+v, %v", o, due, err)
		}
	}
	hours := func(from, to int) (all []time.Time) {
		for ; from < to; from++ {
			all = append(all, hour(from))
		}
		return all
	}
	work, err := c.Work(t.Context(), o, now)
	if err != nil || !slices.Equal(work.Windows, hours(3, 6)) || !slices.Equal(work.Verify, hours(0, 3)) {
		t.Errorf("the work is %+v, %v", work, err)
	}
	if work, err = c.Work(t.Context(), old, now); err != nil || !slices.Equal(work.Windows, hours(3, 4)) {
		t.Errorf("the older work is %+v, %v", work, err)
	}
	if work, err = c.Work(t.Context(), archive.Order{Range: span(0, 6), Force: true}, now); err != nil || !slices.Equal(work.Windows, hours(0, 6)) {
		t.Errorf("the work by force is %+v, %v", work, err)
	}
	if inFlight, err := c.InFlight(t.Context(), archive.Order{Follow: true}, now); err != nil || len(inFlight) != 1 {
		t.Errorf("in flight are %v, %v", inFlight, err)
	}
}
