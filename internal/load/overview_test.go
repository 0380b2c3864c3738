package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// The overview equals a count of windows in every state.
func TestOverview(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	if f, err := a.store.Overview(t.Context(), nil); err != nil || len(f.Providers) != 0 || f.LastSuccess != nil {
		t.Errorf("an empty archive has %+v, %v", f, err)
	}
	at := func(h int) time.Time { return today.Add(time.Duration(h) * time.Hour) }

	one, two := a.newClaim("one"), a.newClaim("two")
	commit(t, one, lastPage(hours(today, 4), noted,
		record("a", "SUCCESS", at(0)), record("b", "RUNNING", at(1)), archive.Invocation{RequestID: "c", Status: "WAIT"}))
	commit(t, one, page(hours(at(4), 2), noted, record("d", "SUCCESS", at(4))))
	commit(t, one, archive.Batch{At: noted, Walk: archive.Walk{Span: hours(at(6), 1)}, Outcome: &archive.Outcome{State: archive.StateShort, Err: "short"}})
	if err := two.Fail(t.Context(), hours(at(2), 2), "broken", noted); err != nil {
		t.Fatal(err)
	}
	b := lastPage(hours(at(5), 1), noted)
	b.Rejected = []archive.Rejected{{Reason: "no id", Payload: []byte(`{}`)}}
	commit(t, two, b)
	a.exec(`INSERT INTO windows (function_id, window_start, planned) VALUES ($1, $2, true)`, two.function.ID, at(7))
	gone := a.newClaim("gone")
	if err := gone.Gone(t.Context(), []archive.Span{hours(at(0), 3)}, noted); err != nil {
		t.Fatal(err)
	}
	keep(t, two, answer(told("urn:two", 1, at(0), false)), at(1))

	f, err := a.store.Overview(t.Context(), map[string]time.Time{"functiongraph": at(3), "functioncompute": at(0)})
	if err != nil {
		t.Fatal(err)
	}
	oldest, due, started := at(2), at(3), at(1)
	want := []read.ProviderOverview{{
		Provider: "functiongraph", Listed: 2, Gone: 1, StatusOff: 1,
		WindowsPending: 1, WindowsPartial: 2, WindowsComplete: 5, WindowsShort: 1, WindowsFailed: 2, WindowsGone: 3,
		Records: 4, InFlight: 2, Rejected: 1, OldestIncomplete: &oldest, OldestDue: &due, OldestInFlight: &started,
	}}
	if diff := cmp.Diff(want, f.Providers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f, err = a.store.Overview(t.Context(), map[string]time.Time{"functioncompute": at(0)})
	if err != nil || f.Providers[0].OldestDue != nil || f.Providers[0].OldestIncomplete == nil {
		t.Errorf("where nobody knows what the source has: %+v, %v", f.Providers, err)
	}
	if counted := a.rows(`SELECT state, count(*) FROM windows WHERE planned GROUP BY state ORDER BY state`); len(counted) != 6 {
		t.Errorf("the windows are %v: not in every state", counted)
	}
}

// The last success is that of run or once, not of a backfill, and not of a run that
// left something.
func TestOverviewLastSuccess(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for i, run := range []struct{ asked, outcome string }{
		{"run", "complete"}, {"once", "complete"}, {"run", "incomplete"}, {"backfill", "complete"}, {"run", "failed"},
	} {
		a.exec(`INSERT INTO runs (asked_by, range_from, range_to, started_at, finished_at, outcome) VALUES ($1, $2, $2, $2, $3, $4)`,
			run.asked, today, today.Add(time.Duration(i)*time.Hour), run.outcome)
	}
	a.exec(`INSERT INTO runs (asked_by, range_from, range_to, started_at) VALUES ('run', $1, $1, $1)`, today)
	f, err := a.store.Overview(t.Context(), nil)
	if err != nil || f.LastSuccess == nil || !f.LastSuccess.Equal(today.Add(time.Hour)) {
		t.Errorf("the last success was %v (%v), want that of once", f.LastSuccess, err)
	}
}
