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
	const limit = 10 * time.Minute
	now, ahead := hour(6).Add(7*time.Minute), noted.AddDate(0, 0, days)
	if _, err := a.store.BeginRun(t.Context(), archive.Order{AskedBy: "once", Range: span(0, 6)}, ahead); err != nil {
		t.Fatal(err)
	}
	c := a.newClaim("f")
	f := c.function
	flying := record("flies", archive.StatusRunning, hour(2).Add(time.Minute))
	commit(t, c, lastPage(span(0, 3), ahead, record("r", archive.StatusSuccess, hour(1)), flying))
	if _, err := c.Fail(t.Context(), span(3, 4), archive.Refusal{Reason: "400", Stuck: true, Smallest: archive.Span{From: hour(3), To: hour(3).Add(time.Second)}}, ahead); err != nil {
		t.Fatal(err)
	}
	// Hours that were read before they ended, by a clock that was somewhat ahead; by one that
	// was ahead by less than the limit; verified since; expired; expired and acknowledged.
	commit(t, c, lastPage(span(-1, 0), now.Add(limit+time.Second), many(5, span(-1, 0), "m")...))
	commit(t, c, lastPage(span(-2, -1), now.Add(limit), record("limit", archive.StatusSuccess, hour(-2))))
	commit(t, c, lastPage(span(-3, -2), ahead))
	if err := c.Verified(t.Context(), span(-3, -2), now); err != nil {
		t.Fatal(err)
	}
	for h := -5; h < -3; h++ {
		old := lastPage(span(h, h+1), ahead)
		old.Outcome = &archive.Outcome{State: archive.StateComplete, Expired: map[time.Time]archive.Expired{hour(h): {Missed: true}}}
		commit(t, c, old)
	}
	a.Exec(`UPDATE windows SET acknowledged_at = $1 WHERE window_start = $2`, now, hour(-5))
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
	list(t, a, ahead.Add(time.Hour), nil, "f", "gone")
	a.Exec(`UPDATE functions SET gone_at = $1, gone_asked_at = $1 WHERE function_name = 'gone'`, ahead)
	a.Exec(`UPDATE functions SET settings_asked_at = $1, versions_at = $1, versions_mark = ''`, ahead)
	o := archive.Order{AskedBy: "run", Range: span(0, 6), Older: true, Follow: true, VerifyAfter: 6 * time.Hour, Rest: true}
	hours := func(from, to int) (all []time.Time) {
		for ; from < to; from++ {
			all = append(all, hour(from))
		}
		return all
	}
	// Without a reset, as with --ignore-clocks, what was completed in the future is verified.
	for _, o := range []archive.Order{{Range: span(1, 1), Follow: true}, {Range: span(0, 3), VerifyAfter: 6 * time.Hour, Older: true}} {
		if due, err := a.store.Due(t.Context(), []archive.Known{f}, o, now); err != nil || len(due) != 1 {
			t.Errorf("of %+v, due are %+v, %v", o, due, err)
		}
	}
	if work, err := c.Work(t.Context(), o, now); err != nil || !slices.Equal(work.Verify, hours(0, 3)) {
		t.Errorf("the work before the reset is %+v, %v", work, err)
	}

	for range 2 {
		if err := a.store.ResetFuture(t.Context(), loadtest.Source, now, limit); err != nil {
			t.Fatal(err)
		}
		a.CheckWindows()
		a.CheckTotals()
	}
	if got := a.Rows(`
		SELECT (EXTRACT(EPOCH FROM window_start - $1::timestamptz) / 3600)::integer, state, planned, records, source_count
		  FROM windows WHERE planned OR records > 0 ORDER BY window_start`, hour(0)); !slices.Equal(got, []string{
		"(-5,expired,t,0,)", "(-4,partial,t,0,)", "(-3,complete,t,0,0)", "(-2,complete,t,1,1)", "(-1,partial,t,5,5)",
		"(0,partial,t,0,0)", "(1,partial,t,1,1)", "(2,partial,t,1,1)", "(3,failed,t,0,)", "(9832,pending,f,1,)", "(9837,pending,f,1,)",
	}) {
		t.Errorf("the windows are %v", got)
	}
	if n := value[int](a, `SELECT count(*) FROM walks`); n != 0 {
		t.Errorf("%d walks are open", n)
	}
	if got, err := a.store.Learned(t.Context(), loadtest.Source, now.Add(-archive.LearnedLife)); err != nil || len(got) != 1 || got[0].What != archive.LearnedPage {
		t.Errorf("learned is %v, %v", got, err)
	}

	// By the run's clock, which is the slowest.
	began := now.Add(-limit)
	listed := list(t, a, began, nil, "f")
	unseen := unlisted(t, a, began)
	missing := unseen["missing"]
	if len(unseen) != 2 || !missing.Missing.Equal(now) || unseen["gone"].Gone.After(now) || missing.FirstSeen.After(now) {
		t.Errorf("unlisted are %+v", unseen)
	}
	if all, err := a.store.Unlisted(t.Context(), []archive.Known{listed["f"]}, now); err != nil || len(all) != 1 {
		t.Errorf("the versions of %v are to be listed, %v", all, err)
	}
	// No hour before the reset is lost of a function that is missing, and one that is gone is asked.
	due, err := a.store.Due(t.Context(), []archive.Known{missing, unseen["gone"]}, o, began)
	if err != nil || len(due) != 2 || due[0].Windows != 6 || due[1].Windows != 6 {
		t.Errorf("of the unlisted, due are %+v, %v", due, err)
	}
	due, err = a.store.Due(t.Context(), []archive.Known{f}, o, now)
	if err != nil || len(due) != 1 || due[0].Windows != 8 || due[0].Waiting != 0 || !due[0].Settings {
		t.Errorf("due are %+v, %v", due, err)
	}
	// Without verifying, and before the range: they are read again, with what is known of them.
	old := archive.Order{AskedBy: "run", Range: span(6, 6), Older: true}
	if due, err := a.store.Due(t.Context(), []archive.Known{f}, old, now); err != nil || len(due) != 1 || due[0].Windows != 6 || due[0].Waiting != 0 {
		t.Errorf("due of older windows are %+v, %v", due, err)
	}
	reread := append([]time.Time{hour(-4), hour(-1)}, hours(0, 4)...)
	work, err := c.Work(t.Context(), old, now)
	if err != nil || !slices.Equal(work.Windows, reread) || len(work.Begun) != len(reread) || work.Begun[1].Held != 5 || work.Begun[1].Counted != 5 {
		t.Errorf("the older work is %+v, %v", work, err)
	}
	if work, err = c.Work(t.Context(), archive.Order{Range: span(0, 6), Force: true}, now); err != nil || !slices.Equal(work.Windows, hours(0, 6)) {
		t.Errorf("the work by force is %+v, %v", work, err)
	}
	if inFlight, err := c.InFlight(t.Context(), archive.Order{Follow: true}, now); err != nil || len(inFlight) != 1 {
		t.Errorf("in flight are %v, %v", inFlight, err)
	}
}
