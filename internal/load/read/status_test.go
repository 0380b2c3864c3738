package read_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/read"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	idle, busy := a.Function("idle"), a.Function("busy")
	c := a.Claim(busy)
	b := loadtest.LastPage(loadtest.Span(0, 2), loadtest.Noted, loadtest.Record("r", archive.StatusSuccess, loadtest.Hour(0)), loadtest.Record("w", archive.StatusWait, loadtest.Hour(-1)))
	b.Rejected = []archive.Rejected{{Reason: "none", Payload: []byte("1")}}
	loadtest.Commit(t, c, b)
	if _, err := c.Fail(t.Context(), loadtest.Span(3, 4), archive.Refusal{Reason: "down"}, loadtest.Noted); err != nil {
		t.Fatal(err)
	}
	minute := archive.Span{From: loadtest.Hour(5), To: loadtest.Hour(5).Add(time.Minute)}
	if _, err := c.Fail(t.Context(), loadtest.Span(5, 6), archive.Refusal{Reason: "400", Smallest: minute, Stuck: true}, loadtest.Noted); err != nil {
		t.Fatal(err)
	}
	got := a.Status()
	from, to, since, end, refused := loadtest.Hour(0), loadtest.Hour(2), loadtest.Hour(3), loadtest.Hour(6), "400"
	want := []read.Function{
		{
			ID: busy.ID, Provider: "functiongraph", Region: "cn-north-4", Project: "p", URN: "urn:busy", Name: "busy", FirstSeen: loadtest.Noted, Standing: read.Wanted, Windows: 4, Complete: 2, Open: 2,
			Failed: 2, Stuck: 1, Records: 2, Pending: 1, Rejected: 1, PlannedFrom: &from, PlannedTo: &end, CompleteFrom: &from, CompleteTo: &to, OpenSince: &since, LastError: &refused,
		},
		{ID: idle.ID, Provider: "functiongraph", Region: "cn-north-4", Project: "p", URN: "urn:idle", Name: "idle", FirstSeen: loadtest.Noted, Standing: read.Wanted},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The troubles and the window name the smallest question that fails.
	err := a.Read.Snapshot(t.Context(), func(s *read.Snapshot) error {
		troubles, err := s.Troubles(t.Context(), []int32{busy.ID}, 5)
		if err != nil {
			return err
		}
		known := read.Refused{RefusedFrom: &minute.From, RefusedTo: &minute.To}
		if diff := cmp.Diff([]read.Trouble{{Error: "400", Functions: 1, FunctionID: busy.ID, Start: loadtest.Hour(5), Refused: known}}, troubles); diff != "" {
			t.Errorf("troubles (-want +got):\n%s", diff)
		}
		retry := loadtest.Noted.Add(time.Hour)
		windows, err := s.OpenWindows(t.Context(), []int32{busy.ID}, []time.Time{loadtest.Hour(5)})
		if diff := cmp.Diff([]read.OpenWindow{{FunctionID: busy.ID, Start: loadtest.Hour(5), State: "failed", Attempts: 1, LastError: &refused, Refused: known, RetryAt: &retry}}, windows); diff != "" {
			t.Errorf("windows (-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	var out strings.Builder
	err := a.Read.Print(t.Context(), &out, `SELECT 'a' AS name, 12 AS calls UNION ALL SELECT 'long', 3`)
	if err != nil {
		t.Fatal(err)
	}
	if want := "NAME  CALLS\na     12\nlong  3\n"; out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
	if err := a.Read.Print(context.Background(), &out, `SELECT 1 / 0`); err == nil {
		t.Error("an error is not told")
	}
}

// Running runs and the last success are found without reading all runs, however many
// there are and however they ended.
func TestRunsCost(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	a.Exec(`
		INSERT INTO runs (asked_by, range_from, range_to, started_at, finished_at, seen_at, outcome)
		SELECT CASE WHEN n % 2 = 0 THEN 'backfill' ELSE 'run' END, $1, $1, $1, $1, $1, CASE WHEN n % 2 = 0 THEN 'complete' ELSE 'failed' END
		  FROM generate_series(1, 20000) AS n`, loadtest.Noted)
	a.Exec(`UPDATE runs SET outcome = 'running', finished_at = NULL WHERE run_id = 7`)
	a.Exec(`VACUUM ANALYZE runs`)
	asked := a.Watch()
	err := a.Read.Snapshot(t.Context(), func(s *read.Snapshot) error {
		runs, err := s.Runs(t.Context(), 10, loadtest.Noted)
		if err == nil && (len(runs) != 11 || runs[10].ID != 7 || runs[0].ID != 20000) {
			t.Errorf("%d runs: %+v", len(runs), runs)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range asked() {
		if blocks := a.Blocks(query.SQL, query.Args...); strings.Contains(query.SQL, "FROM runs") && blocks > 20 {
			t.Errorf("%d blocks, 20 at most, for %s", blocks, query.SQL)
		}
	}
}
