package main

import (
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/loop"
	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// A flightWorld is a source whose records are in flight for hours, and an
// archiver that makes the passes of archiver run by the same clock.
type flightWorld struct {
	*testing.T
	in       *installation
	clock    *clocktest.Clock
	api      *simulate.Server
	board    *switchboard
	archiver *loop.Archiver
	due      settings.DueFlags
}

func newFlightWorld(t *testing.T, from time.Time, spec string) *flightWorld {
	t.Helper()
	w := &flightWorld{T: t, clock: clocktest.New(from), due: settings.DueFlags{Lookback: 72 * time.Hour, VerifyAfter: 6 * time.Hour}}
	data, err := dataset.Live(dataset.GenerateOptions{Functions: faultFunctions, Invocations: 500, Seed: 11}, w.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	w.api = faulty(t, data, spec, w.clock.Now)
	w.board = &switchboard{next: w.api, ids: make(map[string]int)}
	url := newServer(t, w.board)
	w.in = install(t, url)
	w.archiver = w.in.inProcess(url, w.clock)
	return w
}

// pass makes one pass of archiver run, and says how many pages it asked for.
func (w *flightWorld) pass() int64 {
	w.Helper()
	before := w.api.Stats().ListAsyncInvocations
	_, err := w.archiver.Archive(within(w), dueOrder(w.due, w.clock.Now(), w.archiver.Settle), new(archive.Progress))
	if err != nil {
		w.Fatalf("pass at %s: %v", w.clock.Now(), err)
	}
	return w.api.Stats().ListAsyncInvocations - before
}

// inFlightOf are the paths under which functions with records in flight are
// asked.
func (w *flightWorld) inFlightOf() map[string]bool {
	w.Helper()
	paths := make(map[string]bool)
	for urn := range counts(w.in, `SELECT function_urn, sum(pending)::bigint FROM window_coverage GROUP BY 1 HAVING sum(pending) > 0`) {
		paths["/v2/"+simulate.DefaultProjectID+"/fgs/functions/"+urn+"/async-invocations"] = true
	}
	return paths
}

// settledRows are the ids of what the archive has as settled.
func (w *flightWorld) settledRows() map[string]bool {
	w.Helper()
	settled := make(map[string]bool)
	for _, rows := range archivedRows(w.in) {
		for id, r := range rows {
			if r.Status != dataset.StatusWait && r.Status != dataset.StatusRunning {
				settled[id] = true
			}
		}
	}
	return settled
}

// TestFaultsInFlight makes a pass every hour over days in which records wait,
// run and settle for hours, and start later than they first said: within the
// day, over midnight and over the end of the month. In the end each is archived
// as it ended; none that had settled ever went back; and only functions with
// something in flight are asked for it.
func TestFaultsInFlight(t *testing.T) {
	t.Parallel()
	for _, move := range []string{"midnight", "month", "mixed"} {
		t.Run(move, func(t *testing.T) {
			t.Parallel()
			w := newFlightWorld(t, time.Date(2026, 3, 31, 17, 15, 0, 0, time.UTC), "inflight=0.1,stage=4h,move="+move)
			settled := make(map[string]bool)
			followed := 0
			for range 26 {
				inFlight := w.inFlightOf()
				w.pass()
				for path := range w.board.asked() {
					followed++
					if !inFlight[path] {
						t.Errorf("at %s a record was asked for under %s, which has none in flight", w.clock.Now(), path)
					}
				}
				now := w.settledRows()
				for id := range settled {
					if !now[id] {
						t.Fatalf("at %s %s is in flight again", w.clock.Now(), id)
					}
				}
				settled = now
				w.clock.Advance(time.Hour)
			}
			if followed == 0 {
				t.Error("nothing was asked for again: the test shows nothing")
			}
			// What was queued within the two longest stages and the longest
			// pause between two questions may still be in flight.
			w.compareUntil(w.clock.Now().Add(-18 * time.Hour))
		})
	}
}

// TestFaultsInFlightOfALongSpan first archives a month in one question, whose
// records in flight have no start to file them by, and wait and run for most of a
// day: they are followed until they settle all the same.
func TestFaultsInFlightOfALongSpan(t *testing.T) {
	t.Parallel()
	w := newFlightWorld(t, time.Date(2026, 3, 31, 17, 15, 0, 0, time.UTC), "inflight=0.1,stage=20h,move=none")
	w.due.Lookback = 30 * 24 * time.Hour
	began := w.clock.Now()
	for range 15 {
		w.pass()
		w.clock.Advance(4 * time.Hour)
	}
	w.compareUntil(began.Add(time.Minute))
}

// compareUntil compares what started before a time.
func (w *flightWorld) compareUntil(until time.Time) {
	w.Helper()
	from := queryValue[time.Time](w.in, `SELECT min(window_start) FROM archiver_internal.windows WHERE planned`)
	compareAll(w.in, w.api, compared{only: func(_ int, r dataset.Record) bool {
		return !r.Start.IsZero() && !r.Start.Before(from) && r.Start.Before(until)
	}})
	if n := queryValue[int64](w.in, `SELECT count(*) FROM archiver_internal.windows WHERE planned AND state <> 'complete' AND NOT unproven`); n != 0 {
		w.Errorf("%d windows are not complete", n)
	}
	// One that has no start yet may count into any window that was asked for
	// with its own.
	if n := queryValue[int64](w.in, `SELECT count(*) FROM archiver_days.invocations_in_flight WHERE first_archived_at < $1`, until); n != 0 {
		w.Errorf("%d records archived before %s are still in flight", n, until)
	}
}

// TestFaultsRetried lets failed records succeed hours later, with another
// start. Reading them again leaves the newest answer, in one row, in the right place.
// The archive does this without being asked only when it verifies windows.
func TestFaultsRetried(t *testing.T) {
	t.Parallel()
	w := newFlightWorld(t, time.Date(2026, 3, 31, 17, 15, 0, 0, time.UTC), "inflight=0.05,retried=0.5,stage=2h,move=mixed")
	w.due.VerifyAfter = 0 // which would read some of them again
	for range 20 {
		w.pass()
		w.clock.Advance(time.Hour)
	}
	before := archivedRows(w.in)
	order := dueOrder(w.due, w.clock.Now(), w.archiver.Settle)
	order.AskedBy = "backfill"
	order.Range.From, order.Force = queryValue[time.Time](w.in, `SELECT min(window_start) FROM archiver_internal.windows WHERE planned`), true
	if _, err := w.archiver.Archive(within(t), order, new(archive.Progress)); err != nil {
		t.Fatal(err)
	}
	changed, moved := 0, 0
	for name, rows := range archivedRows(w.in) {
		for id, r := range rows {
			old, there := before[name][id]
			if there && old.Status == dataset.StatusFail && r.Status == dataset.StatusSuccess {
				changed++
				if !archive.WindowOf(old.Start).Equal(archive.WindowOf(r.Start)) {
					moved++
				}
			}
		}
	}
	if changed == 0 {
		t.Error("no failed record has succeeded since: the test shows nothing")
	}
	t.Logf("%d failed records have succeeded since, %d of them in another hour", changed, moved)
	w.compareUntil(w.clock.Now().Add(-18 * time.Hour))
}

// TestFaultsNothingInFlight shows that what is not in flight costs nothing: a
// pass costs a call a function for the hour that is new, and none where there
// is none.
func TestFaultsNothingInFlight(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(day.Add(30*time.Hour + 15*time.Minute))
	w := &flightWorld{T: t, clock: clock, due: settings.DueFlags{Lookback: 24 * time.Hour}}
	w.api = faulty(t, generated(t, faultFunctions, faultInvocations, 7), "", clock.Now)
	url := newServer(t, w.api)
	w.in = install(t, url)
	w.archiver = w.in.inProcess(url, clock)
	w.pass()
	for range 4 {
		if calls := w.pass(); calls != 0 {
			t.Errorf("at %s: %d calls where nothing is due", clock.Now(), calls)
		}
		clock.Advance(time.Hour)
		if calls := w.pass(); calls != faultFunctions {
			t.Errorf("at %s: %d calls for a new hour of %d functions", clock.Now(), calls, faultFunctions)
		}
	}
}
