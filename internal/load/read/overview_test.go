package read_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/read"
)

// The overview equals a count of windows in every state.
func TestOverview(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	if f, err := a.Read.Overview(t.Context(), loadtest.Later, nil); err != nil || len(f.Providers) != 0 || f.LastSuccess != nil {
		t.Errorf("an empty archive has %+v, %v", f, err)
	}
	at := func(h int) time.Time { return loadtest.Today.Add(time.Duration(h) * time.Hour) }

	second := a.Function("two")
	one, two := a.NewClaim("one"), a.Claim(second)
	loadtest.Commit(t, one, loadtest.LastPage(loadtest.Hours(loadtest.Today, 4), loadtest.Noted,
		loadtest.Record("a", "SUCCESS", at(0)), loadtest.Record("b", "RUNNING", at(1)), archive.Invocation{RequestID: "c", Status: "WAIT"}))
	loadtest.Commit(t, one, loadtest.Page(loadtest.Hours(at(4), 2), loadtest.Noted, loadtest.Record("d", "SUCCESS", at(4))))
	loadtest.Commit(t, one, archive.Batch{At: loadtest.Noted, Walk: archive.Walk{Span: loadtest.Hours(at(6), 1)}, Outcome: &archive.Outcome{State: archive.StateShort, Err: "short"}})
	if _, err := two.Fail(t.Context(), loadtest.Hours(at(2), 2), archive.Refusal{Reason: "broken"}, loadtest.Noted); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Fail(t.Context(), loadtest.Hours(at(4), 1), archive.Refusal{Reason: "400", Stuck: true}, loadtest.Noted); err != nil {
		t.Fatal(err)
	}
	expired := loadtest.LastPage(loadtest.Hours(at(8), 3), loadtest.Noted)
	expired.Outcome.Expired = map[time.Time]archive.Expired{at(8): {Missed: true}, at(9): {Unproven: true}}
	loadtest.Commit(t, two, expired)
	if err := a.Store.EndList(t.Context(), loadtest.Source, &archive.ListError{Listed: 2, Counted: 3}, loadtest.Noted); err != nil {
		t.Fatal(err)
	}
	b := loadtest.LastPage(loadtest.Hours(at(5), 1), loadtest.Noted)
	b.Rejected = []archive.Rejected{{Reason: "no id", Payload: []byte(`{}`)}}
	loadtest.Commit(t, two, b)
	a.Exec(`INSERT INTO windows (function_id, window_start, planned) VALUES ($1, $2, true)`, second.ID, at(7))
	gone := a.NewClaim("gone")
	if err := gone.Gone(t.Context(), []archive.Span{loadtest.Hours(at(0), 3)}, loadtest.Noted); err != nil {
		t.Fatal(err)
	}
	loadtest.Keep(t, two, loadtest.Answer(loadtest.Told("urn:two", 1, at(0), false)), at(1))

	f, err := a.Read.Overview(t.Context(), loadtest.Later, map[string]time.Time{"functiongraph": at(3), "functioncompute": at(0)})
	if err != nil {
		t.Fatal(err)
	}
	oldest, due, started := at(2), at(3), at(1)
	want := []read.ProviderOverview{{
		Provider: "functiongraph", Listed: 2, Gone: 1, StatusOff: 1,
		WindowsPending: 1, WindowsPartial: 2, WindowsComplete: 6, WindowsShort: 1, WindowsFailed: 3, WindowsGone: 3,
		WindowsExpired: 2, WindowsMissed: 1, WindowsStuck: 1, ListsNotWhole: 1,
		Records: 4, InFlight: 2, Rejected: 1, OldestIncomplete: &oldest, OldestDue: &due, OldestInFlight: &started,
	}}
	if diff := cmp.Diff(want, f.Providers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f, err = a.Read.Overview(t.Context(), loadtest.Later, map[string]time.Time{"functioncompute": at(0)})
	if err != nil || f.Providers[0].OldestDue != nil || f.Providers[0].OldestIncomplete == nil {
		t.Errorf("where nobody knows what the source has: %+v, %v", f.Providers, err)
	}
	if counted := a.Rows(`SELECT state, count(*) FROM windows WHERE planned GROUP BY state ORDER BY state`); len(counted) != 7 {
		t.Errorf("the windows are %v: not in every state", counted)
	}
}

// The last success is that of run or once, not of a backfill, and not of a run that
// left something.
func TestOverviewLastSuccess(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	for i, run := range []struct{ asked, outcome string }{
		{"run", "complete"}, {"once", "complete"}, {"run", "incomplete"}, {"backfill", "complete"}, {"run", "failed"},
	} {
		a.Exec(`INSERT INTO runs (asked_by, range_from, range_to, started_at, finished_at, outcome) VALUES ($1, $2, $2, $2, $3, $4)`,
			run.asked, loadtest.Today, loadtest.Today.Add(time.Duration(i)*time.Hour), run.outcome)
	}
	a.Exec(`INSERT INTO runs (asked_by, range_from, range_to, started_at, finished_at, outcome) VALUES ('run', $1, $1, $1, $1, 'complete')`, loadtest.Later.AddDate(1, 0, 0))
	a.Exec(`INSERT INTO runs (asked_by, range_from, range_to, started_at) VALUES ('run', $1, $1, $1)`, loadtest.Today)
	f, err := a.Read.Overview(t.Context(), loadtest.Later, nil)
	if err != nil || f.LastSuccess == nil || !f.LastSuccess.Equal(loadtest.Today.Add(time.Hour)) {
		t.Errorf("the last success was %v (%v), want that of once", f.LastSuccess, err)
	}
}
