package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load/read"
)

var (
	noon  = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	quiet = slog.New(slog.DiscardHandler)
)

// A fakeStore returns the configured results. Other methods panic.
type fakeStore struct {
	archive.Store
	kept   archive.Kept
	commit error
}

func (s *fakeStore) Claim(_ context.Context, f archive.Known) (archive.Claim, error) {
	if f.Name == "taken" {
		return nil, archive.ErrClaimed
	}
	return &fakeClaim{store: s}, nil
}

type fakeClaim struct {
	archive.Claim
	store *fakeStore
}

func (c *fakeClaim) Commit(context.Context, archive.Batch) (archive.Kept, error) {
	return c.store.kept, c.store.commit
}

func (c *fakeClaim) Follow(context.Context, archive.InFlightRecord, []archive.Invocation, []archive.Rejected, time.Time) (archive.Kept, error) {
	return c.store.kept, c.store.commit
}

func (c *fakeClaim) Renew(context.Context) error { return nil }

// compare compares the metrics of these names with Prometheus' text format.
func compare(t *testing.T, m *Metrics, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// Each stored record is counted once, by its result. A failed commit counts no
// records.
func TestRecords(t *testing.T) {
	t.Parallel()
	m, inner := New("test"), &fakeStore{kept: archive.Kept{Inserted: 5, Updated: 3, Unchanged: 2, Rejected: 1, InFlight: 4}}
	s := m.Store(inner, "functiongraph")
	c, err := s.Claim(t.Context(), archive.Known{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), archive.Known{Function: archive.Function{Name: "taken"}}); !errors.Is(err, archive.ErrClaimed) {
		t.Errorf("a claimed function: %v", err)
	}
	if err := c.Renew(t.Context()); err != nil {
		t.Error("a method that is not counted is not passed on")
	}
	if kept, err := c.Commit(t.Context(), archive.Batch{}); err != nil || kept != inner.kept {
		t.Errorf("%+v, %v", kept, err)
	}
	if kept, err := c.Follow(t.Context(), archive.InFlightRecord{}, nil, nil, noon); err != nil || kept != inner.kept {
		t.Errorf("%+v, %v", kept, err)
	}
	for _, failure := range []error{errors.New("disk full"), archive.ErrClaimLost} {
		inner.commit = failure
		if _, err := c.Commit(t.Context(), archive.Batch{}); !errors.Is(err, failure) {
			t.Errorf("got %v, want %v", err, failure)
		}
	}
	compare(t, m, `
# HELP archiver_records_total Records that the source returned, by result: inserted, updated, unchanged (already stored) or rejected (cannot be stored as a row).
# TYPE archiver_records_total counter
archiver_records_total{provider="functiongraph",result="inserted"} 10
archiver_records_total{provider="functiongraph",result="rejected"} 2
archiver_records_total{provider="functiongraph",result="unchanged"} 4
archiver_records_total{provider="functiongraph",result="updated"} 6
# HELP archiver_commit_failures_total Commits that failed in the database.
# TYPE archiver_commit_failures_total counter
archiver_commit_failures_total{provider="functiongraph"} 1
`, "archiver_records_total", "archiver_commit_failures_total")
	if n := commits(t, m); n != 4 {
		t.Errorf("%d commits were observed", n)
	}
}

// commits returns the number of observed commits.
func commits(t *testing.T, m *Metrics) uint64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "archiver_commit_duration_seconds" {
			return f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	return 0
}

// Each run counts once, with its outcome.
func TestRuns(t *testing.T) {
	t.Parallel()
	m := New("test")
	m.Begin("functiongraph", nil, 48*time.Hour, 48*time.Hour)
	m.Begin("functiongraph", nil, 24*time.Hour, 72*time.Hour)
	running := func(want string) {
		t.Helper()
		compare(t, m, `
# HELP archiver_runs_in_progress Running runs of this process.
# TYPE archiver_runs_in_progress gauge
archiver_runs_in_progress{provider="functiongraph"} `+want+"\n", "archiver_runs_in_progress")
	}
	for _, err := range []error{nil, nil, &archive.IncompleteError{Short: 1}, archive.ErrInterrupted, errors.New("denied")} {
		ended := m.Run("functiongraph")
		running("1")
		ended(err)
		running("0")
	}
	m.Clocks("functiongraph", 6*time.Minute)
	compare(t, m, `
# HELP archiver_runs_total Finished runs, by outcome: complete, incomplete, interrupted or failed, as in the table runs.
# TYPE archiver_runs_total counter
archiver_runs_total{outcome="complete",provider="functiongraph"} 2
archiver_runs_total{outcome="failed",provider="functiongraph"} 1
archiver_runs_total{outcome="incomplete",provider="functiongraph"} 1
archiver_runs_total{outcome="interrupted",provider="functiongraph"} 1
# HELP archiver_clocks_apart_seconds By how much the clocks of the machine, the database and the source differed in the last pass.
# TYPE archiver_clocks_apart_seconds gauge
archiver_clocks_apart_seconds{provider="functiongraph"} 360
# HELP archiver_lookback_seconds How far back windows are due (--lookback). With several sources of a provider: the shortest.
# TYPE archiver_lookback_seconds gauge
archiver_lookback_seconds{provider="functiongraph"} 86400
# HELP archiver_source_retention_seconds How long the source keeps records (--source-retention). With several sources of a provider: the shortest.
# TYPE archiver_source_retention_seconds gauge
archiver_source_retention_seconds{provider="functiongraph"} 172800
`, "archiver_runs_total", "archiver_clocks_apart_seconds", "archiver_lookback_seconds", "archiver_source_retention_seconds")
}

// A fakeReader counts the queries.
type fakeReader struct {
	mu       sync.Mutex
	asked    int
	overview read.Overview
	since    map[string]time.Time
	err      error
}

func (r *fakeReader) Overview(ctx context.Context, now time.Time, since map[string]time.Time) (read.Overview, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.since = since
	if _, limited := ctx.Deadline(); !limited {
		return read.Overview{}, errors.New("Overview was called without a deadline")
	}
	return r.overview, r.err
}

func (r *fakeReader) Size(context.Context, time.Time) (read.Size, error) {
	return read.Size{Bytes: 5 << 30, BytesADay: 7 << 20}, nil
}

const (
	upHelp = `
# HELP archiver_database_up 1 if the last query to the database succeeded, else 0.
# TYPE archiver_database_up gauge
archiver_database_up `
	windowsHelp = `
# HELP archiver_windows Windows (one hour of one function) by state: pending, partial, complete, short, failed, gone or expired.
# TYPE archiver_windows gauge
`
)

// The gauges come from the database, with one query per readEvery, for any
// number of scrapes. If the database does not answer, the gauges are absent,
// and the other metrics are served.
func TestWatch(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(noon)
	oldest := noon.Add(-72 * time.Hour)
	r := &fakeReader{overview: read.Overview{Providers: []read.ProviderOverview{{
		Provider: "functiongraph", Listed: 3, Gone: 1, StatusOff: 2,
		WindowsPending: 1, WindowsPartial: 2, WindowsComplete: 3, WindowsShort: 4, WindowsFailed: 5, WindowsGone: 6, WindowsExpired: 9, WindowsMissed: 4, WindowsStuck: 2, ListsNotWhole: 1,
		Records: 100, InFlight: 7, Rejected: 8, OldestIncomplete: &oldest, OldestDue: &noon,
	}}}}
	m := New("test")
	// With two sources of one provider, gauges use the longer retention.
	m.Begin("functiongraph", nil, 24*time.Hour, 72*time.Hour)
	m.Begin("functiongraph", nil, 48*time.Hour, 48*time.Hour)
	m.Watch(r, clock, quiet)
	web := httptest.NewServer(m.Handler(quiet))
	t.Cleanup(web.Close)

	var scrapes sync.WaitGroup
	for range 5 {
		scrapes.Go(func() {
			resp, err := http.Get(web.URL)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%v, %v", resp, err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	scrapes.Wait()
	if diff := cmp.Diff(map[string]time.Time{"functiongraph": noon.Add(-72 * time.Hour)}, r.since); diff != "" {
		t.Errorf("since (-want +got):\n%s", diff)
	}
	compare(t, m, upHelp+"1"+windowsHelp+`archiver_windows{provider="functiongraph",state="complete"} 3
archiver_windows{provider="functiongraph",state="expired"} 9
archiver_windows{provider="functiongraph",state="failed"} 5
archiver_windows{provider="functiongraph",state="gone"} 6
archiver_windows{provider="functiongraph",state="partial"} 2
archiver_windows{provider="functiongraph",state="pending"} 1
archiver_windows{provider="functiongraph",state="short"} 4
# HELP archiver_windows_missed Expired windows that were due while the source still had their records, and that no operator has acknowledged.
# TYPE archiver_windows_missed gauge
archiver_windows_missed{provider="functiongraph"} 4
# HELP archiver_windows_stuck Failed or short windows of which no smaller question can be asked: they wait longer after each failure.
# TYPE archiver_windows_stuck gauge
archiver_windows_stuck{provider="functiongraph"} 2
# HELP archiver_function_lists_not_whole Sources whose list of functions was not whole when it was last read.
# TYPE archiver_function_lists_not_whole gauge
archiver_function_lists_not_whole{provider="functiongraph"} 1
# HELP archiver_functions Functions by state: listed, gone, or log_off (listed, but the source keeps no records).
# TYPE archiver_functions gauge
archiver_functions{provider="functiongraph",state="gone"} 1
archiver_functions{provider="functiongraph",state="listed"} 3
archiver_functions{provider="functiongraph",state="log_off"} 2
# HELP archiver_archived_records Records in the archive.
# TYPE archiver_archived_records gauge
archiver_archived_records{provider="functiongraph"} 100
# HELP archiver_records_in_flight Records with status WAIT or RUNNING; the archiver reads them again.
# TYPE archiver_records_in_flight gauge
archiver_records_in_flight{provider="functiongraph"} 7
# HELP archiver_rejected_records Records in the table rejected_records.
# TYPE archiver_rejected_records gauge
archiver_rejected_records{provider="functiongraph"} 8
# HELP archiver_oldest_incomplete_window_timestamp_seconds Start of the oldest window that is neither complete nor gone nor expired; absent if there is none.
# TYPE archiver_oldest_incomplete_window_timestamp_seconds gauge
archiver_oldest_incomplete_window_timestamp_seconds{provider="functiongraph"} 1.7732304e+09
# HELP archiver_oldest_due_window_timestamp_seconds Start of the oldest window within --source-retention that is neither complete nor gone nor expired; absent if there is none.
# TYPE archiver_oldest_due_window_timestamp_seconds gauge
archiver_oldest_due_window_timestamp_seconds{provider="functiongraph"} 1.7734896e+09
# HELP archiver_last_success_timestamp_seconds When a pass of run or once, of any process, last archived everything that was due; 0 for never.
# TYPE archiver_last_success_timestamp_seconds gauge
archiver_last_success_timestamp_seconds 0
`, "archiver_database_up", "archiver_windows", "archiver_windows_missed", "archiver_windows_stuck", "archiver_function_lists_not_whole",
		"archiver_functions", "archiver_archived_records", "archiver_records_in_flight",
		"archiver_rejected_records", "archiver_oldest_incomplete_window_timestamp_seconds", "archiver_oldest_due_window_timestamp_seconds",
		"archiver_oldest_record_in_flight_timestamp_seconds", "archiver_last_success_timestamp_seconds")
	if r.asked != 1 {
		t.Errorf("%d queries for concurrent scrapes, want 1", r.asked)
	}

	r.err = errors.New("connection refused")
	clock.Advance(readEvery - time.Second)
	compare(t, m, upHelp+"1\n", "archiver_database_up")
	clock.Advance(time.Second)
	for range 3 {
		compare(t, m, upHelp+"0\n", "archiver_database_up", "archiver_windows", "archiver_functions", "archiver_last_success_timestamp_seconds")
	}
	if n, err := testutil.GatherAndCount(m.registry, "go_goroutines", "process_start_time_seconds", "archiver_build_info"); n != 3 || err != nil {
		t.Errorf("%d of the 3 metrics of the process: %v", n, err)
	}
	if r.asked != 2 {
		t.Errorf("%d queries, want 2", r.asked)
	}
	r.err, r.overview.LastSuccess = nil, &noon
	clock.Advance(readEvery)
	compare(t, m, upHelp+`1
# HELP archiver_last_success_timestamp_seconds When a pass of run or once, of any process, last archived everything that was due; 0 for never.
# TYPE archiver_last_success_timestamp_seconds gauge
archiver_last_success_timestamp_seconds 1.7734896e+09
`, "archiver_database_up", "archiver_last_success_timestamp_seconds")
}

// Names, units and help texts pass Prometheus' lint.
func TestLint(t *testing.T) {
	t.Parallel()
	m := New("test")
	m.Begin("functiongraph", []string{"ok"}, time.Hour, time.Hour)
	m.Call("functiongraph")("ok", time.Second)
	m.Watch(&fakeReader{overview: read.Overview{Providers: []read.ProviderOverview{{
		Provider: "functiongraph", OldestIncomplete: &noon, OldestInFlight: &noon,
	}}}}, clocktest.New(noon), quiet)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); !strings.HasPrefix(name, "archiver_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is nobody's", name)
		}
	}
}
