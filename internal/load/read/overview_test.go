package read_test

import (
	"strings"
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
	if f, err := a.Read.Overview(t.Context(), loadtest.Noted, read.Times{Given: time.Hour}); err != nil || len(f.Sources) != 0 || f.Verdict.Level != read.Warning {
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

	f, err := a.Read.Overview(t.Context(), loadtest.Noted, read.Times{Given: loadtest.Noted.Sub(at(3))})
	if err != nil {
		t.Fatal(err)
	}
	oldest, due, started := at(2), at(3), at(1)
	want := []read.SourceOverview{{
		Name: strings.Join([]string{loadtest.Source.Provider, loadtest.Source.Region, loadtest.Source.ProjectID}, "/"), Wanted: 2, Gone: 1, StatusOff: 1,
		WindowsPending: 1, WindowsPartial: 2, WindowsComplete: 6, WindowsShort: 1, WindowsFailed: 3, WindowsGone: 3,
		WindowsExpired: 2, WindowsMissed: 1, WindowsStuck: 1,
		Records: 4, InFlight: 2, Rejected: 1, OldestIncomplete: &oldest, OldestDue: &due, OldestInFlight: &started,
	}}
	if diff := cmp.Diff(want, f.Sources); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var about []string
	for _, r := range f.Verdict.Sources[0].Reasons {
		about = append(about, r.About+" "+string(r.Level))
	}
	if diff := cmp.Diff([]string{"hours bad", "missed bad", "list bad"}, about); diff != "" {
		t.Errorf("the verdict is about (-want +got):\n%s", diff)
	}
	// Nothing is wrong with functions that nobody wants, and nobody asks for records that
	// have outlived the longest life.
	a.Exec(`UPDATE functions SET excluded_since = $1 WHERE function_name = 'one'`, loadtest.Noted)
	a.Exec(`UPDATE functions SET ignored_at = $1 WHERE function_name = 'two'`, loadtest.Noted)
	a.Exec(`UPDATE source_lists SET whole = true`)
	a.Exec(`UPDATE windows SET recheck_at = NULL`)
	if f, err = a.Read.Overview(t.Context(), loadtest.Noted, read.Times{Given: loadtest.Noted.Sub(at(3))}); err != nil {
		t.Fatal(err)
	}
	want[0].Wanted, want[0].Excluded, want[0].Ignored, want[0].StatusOff = 0, 1, 1, 0
	want[0].WindowsPending, want[0].WindowsPartial, want[0].WindowsShort, want[0].WindowsFailed, want[0].WindowsMissed, want[0].WindowsStuck = 0, 0, 0, 0, 0, 0
	want[0].OldestIncomplete, want[0].OldestDue, want[0].OldestInFlight = nil, nil, nil
	if diff := cmp.Diff(want, f.Sources); diff != "" || f.Verdict.Level != read.OK {
		t.Errorf("without wanted functions: %s %s (-want +got):\n%s", f.Verdict.Level, f.Verdict.Text, diff)
	}
	if counted := a.Rows(`SELECT state, count(*) FROM windows WHERE planned GROUP BY state ORDER BY state`); len(counted) != 7 {
		t.Errorf("the windows are %v: not in every state", counted)
	}
}
