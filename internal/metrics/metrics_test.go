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
	s := m.Store(inner, "shop")
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
archiver_records_total{result="inserted",source="shop"} 10
archiver_records_total{result="rejected",source="shop"} 2
archiver_records_total{result="unchanged",source="shop"} 4
archiver_records_total{result="updated",source="shop"} 6
# HELP archiver_commit_failures_total Commits that failed in the database.
# TYPE archiver_commit_failures_total counter
archiver_commit_failures_total{source="shop"} 1
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
	m.Begin("shop", nil, 24*time.Hour, 48*time.Hour)
	running := func(want string) {
		t.Helper()
		compare(t, m, `
# HELP archiver_runs_in_progress Running runs of this process.
# TYPE archiver_runs_in_progress gauge
archiver_runs_in_progress{source="shop"} `+want+"\n", "archiver_runs_in_progress")
	}
	for _, err := range []error{nil, nil, &archive.IncompleteError{Short: 1}, archive.ErrInterrupted, errors.New("denied")} {
		ended := m.Run("shop")
		running("1")
		ended(err)
		running("0")
	}
	m.Clocks("shop", 6*time.Minute)
	compare(t, m, `
# HELP archiver_runs_total Finished runs, by outcome: complete, incomplete, interrupted or failed, as in the table runs.
# TYPE archiver_runs_total counter
archiver_runs_total{outcome="complete",source="shop"} 2
archiver_runs_total{outcome="failed",source="shop"} 1
archiver_runs_total{outcome="incomplete",source="shop"} 1
archiver_runs_total{outcome="interrupted",source="shop"} 1
# HELP archiver_clocks_apart_seconds By how much the clocks of the machine, the database and the source differed in the last pass.
# TYPE archiver_clocks_apart_seconds gauge
archiver_clocks_apart_seconds{source="shop"} 360
# HELP archiver_lookback_seconds How far back windows are due (--lookback).
# TYPE archiver_lookback_seconds gauge
archiver_lookback_seconds{source="shop"} 86400
# HELP archiver_source_retention_seconds How long the source keeps records (--source-retention).
# TYPE archiver_source_retention_seconds gauge
archiver_source_retention_seconds{source="shop"} 172800
`, "archiver_runs_total", "archiver_clocks_apart_seconds", "archiver_lookback_seconds", "archiver_source_retention_seconds")
}

// A fakeReader counts the queries.
type fakeReader struct {
	mu       sync.Mutex
	asked    int
	overview read.Overview
	now      time.Time
	err      error
}

func (r *fakeReader) Overview(ctx context.Context, now time.Time, _ read.Times) (read.Overview, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.now = now
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
	hour := time.Hour
	v := read.Verdict{Sources: []read.SourceVerdict{
		{
			Source:  read.Source{Name: "shop", Provider: "functiongraph", Region: "eu-de", Project: "p", PassEvery: &hour, FailedPasses: 2, NextAttempt: &noon},
			Reasons: []read.Reason{{About: read.AboutPasses, Level: read.Bad}, {About: read.AboutFunctions, Level: read.Warning}, {About: read.AboutFunctions, Level: read.OK}},
		},
		{Source: read.Source{Name: "filled", Provider: "functioncompute"}}, // by backfill alone
	}}
	r := &fakeReader{overview: read.Overview{Verdict: v, Sources: []read.SourceOverview{{
		Name: "shop", Wanted: 3, Missing: 1, Gone: 1, Excluded: 4, Ignored: 5, StatusOff: 2,
		WindowsPending: 1, WindowsPartial: 2, WindowsComplete: 3, WindowsShort: 4, WindowsFailed: 5, WindowsGone: 6, WindowsExpired: 9, WindowsMissed: 4, WindowsStuck: 2,
		Records: 100, InFlight: 7, Rejected: 8, OldestIncomplete: &oldest, OldestDue: &noon,
	}}}}
	m := New("test")
	m.Watch(r, read.Times{}, clock, quiet)
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
	if !r.now.Equal(noon) {
		t.Errorf("the archive was judged at %s", r.now)
	}
	compare(t, m, upHelp+"1"+windowsHelp+`archiver_windows{source="shop",state="complete"} 3
archiver_windows{source="shop",state="expired"} 9
archiver_windows{source="shop",state="failed"} 5
archiver_windows{source="shop",state="gone"} 6
archiver_windows{source="shop",state="partial"} 2
archiver_windows{source="shop",state="pending"} 1
archiver_windows{source="shop",state="short"} 4
# HELP archiver_windows_missed Expired windows that were due while the source still had their records, and that no operator has acknowledged.
# TYPE archiver_windows_missed gauge
archiver_windows_missed{source="shop"} 4
# HELP archiver_windows_stuck Failed or short windows of which no smaller question can be asked: they wait longer after each failure.
# TYPE archiver_windows_stuck gauge
archiver_windows_stuck{source="shop"} 2
# HELP archiver_functions Functions by state: listed, missing (from whole lists), gone, excluded (by --functions), ignored (archiver ignore), or log_off (listed, but the source keeps no records).
# TYPE archiver_functions gauge
archiver_functions{source="shop",state="excluded"} 4
archiver_functions{source="shop",state="ignored"} 5
archiver_functions{source="shop",state="missing"} 1
archiver_functions{source="shop",state="gone"} 1
archiver_functions{source="shop",state="listed"} 3
archiver_functions{source="shop",state="log_off"} 2
# HELP archiver_archived_records Records in the archive.
# TYPE archiver_archived_records gauge
archiver_archived_records{source="shop"} 100
# HELP archiver_records_in_flight Records with status WAIT or RUNNING; the archiver reads them again.
# TYPE archiver_records_in_flight gauge
archiver_records_in_flight{source="shop"} 7
# HELP archiver_rejected_records Records in the table rejected_records.
# TYPE archiver_rejected_records gauge
archiver_rejected_records{source="shop"} 8
# HELP archiver_oldest_incomplete_window_timestamp_seconds Start of the oldest window that is neither complete nor gone nor expired; absent if there is none.
# TYPE archiver_oldest_incomplete_window_timestamp_seconds gauge
archiver_oldest_incomplete_window_timestamp_seconds{source="shop"} 1.7732304e+09
# HELP archiver_oldest_due_window_timestamp_seconds Start of the oldest window within --source-retention that is neither complete nor gone nor expired; absent if there is none.
# TYPE archiver_oldest_due_window_timestamp_seconds gauge
archiver_oldest_due_window_timestamp_seconds{source="shop"} 1.7734896e+09
# HELP archiver_last_success_timestamp_seconds When a pass of run or once, of any process, last archived everything that was due; 0 for never.
# TYPE archiver_last_success_timestamp_seconds gauge
archiver_last_success_timestamp_seconds{source="shop"} 0
# HELP archiver_failed_passes Passes of run or once that have ended without success since the last success.
# TYPE archiver_failed_passes gauge
archiver_failed_passes{source="shop"} 2
# HELP archiver_next_attempt_timestamp_seconds When the next pass begins: by the schedule, or as the last passes of once came; absent if that is unknown.
# TYPE archiver_next_attempt_timestamp_seconds gauge
archiver_next_attempt_timestamp_seconds{source="shop"} 1.7734896e+09
# HELP archiver_source_verdict The verdict on a source, as archiver status has it, by what it is about: 0 is ok, 1 a warning, 2 bad.
# TYPE archiver_source_verdict gauge
archiver_source_verdict{about="functions",source="filled"} 0
archiver_source_verdict{about="functions",source="shop"} 1
archiver_source_verdict{about="hours",source="filled"} 0
archiver_source_verdict{about="hours",source="shop"} 0
archiver_source_verdict{about="list",source="filled"} 0
archiver_source_verdict{about="list",source="shop"} 0
archiver_source_verdict{about="missed",source="filled"} 0
archiver_source_verdict{about="missed",source="shop"} 0
archiver_source_verdict{about="passes",source="filled"} 0
archiver_source_verdict{about="passes",source="shop"} 2
archiver_source_verdict{about="risk",source="filled"} 0
archiver_source_verdict{about="risk",source="shop"} 0
archiver_source_verdict{about="schedule",source="filled"} 0
archiver_source_verdict{about="schedule",source="shop"} 0
# HELP archiver_source_info Always 1. The labels say which account the source is.
# TYPE archiver_source_info gauge
archiver_source_info{project="",provider="functioncompute",region="",source="filled"} 1
archiver_source_info{project="p",provider="functiongraph",region="eu-de",source="shop"} 1
`, "archiver_database_up", "archiver_windows", "archiver_windows_missed", "archiver_windows_stuck",
		"archiver_functions", "archiver_archived_records", "archiver_records_in_flight",
		"archiver_rejected_records", "archiver_oldest_incomplete_window_timestamp_seconds", "archiver_oldest_due_window_timestamp_seconds",
		"archiver_oldest_record_in_flight_timestamp_seconds", "archiver_last_success_timestamp_seconds", "archiver_failed_passes",
		"archiver_next_attempt_timestamp_seconds", "archiver_source_verdict", "archiver_source_info")
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
	r.err, r.overview.Verdict.Sources[0].LastSuccess = nil, &noon
	clock.Advance(readEvery)
	compare(t, m, upHelp+`1
# HELP archiver_last_success_timestamp_seconds When a pass of run or once, of any process, last archived everything that was due; 0 for never.
# TYPE archiver_last_success_timestamp_seconds gauge
archiver_last_success_timestamp_seconds{source="shop"} 1.7734896e+09
`, "archiver_database_up", "archiver_last_success_timestamp_seconds")
}

// Names, units and help texts pass Prometheus' lint.
func TestLint(t *testing.T) {
	t.Parallel()
	m := New("test")
	m.Begin("shop", []string{"ok"}, time.Hour, time.Hour)
	m.Call("shop")("ok", time.Second)
	m.Watch(&fakeReader{overview: read.Overview{Sources: []read.SourceOverview{{
		Name: "shop", OldestIncomplete: &noon, OldestInFlight: &noon,
	}}}}, read.Times{}, clocktest.New(noon), quiet)
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
