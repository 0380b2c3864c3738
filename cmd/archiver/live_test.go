package main

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/settings"
	"archiver/internal/simulate/dataset"
)

// TestFollowsWhatIsInFlight runs every hour against a service in use. Records first
// wait or run, move to the hour and day in which they start, and settle later. The
// archive has each record once, as the service has it. Functions without records in
// flight cost no call for them.
func TestFollowsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(day.Add(21*time.Hour + 2*time.Second))
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 6, Invocations: 20_000, Seed: 5}, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, web := simulator(t, data)
	in := install(t, web.URL)
	archiver := in.inProcess(web.URL, clock)
	archiver.Settle = 0 // what ended a moment ago is full of records in flight
	due := settings.DueFlags{Lookback: 48 * time.Hour, VerifyAfter: 6 * time.Hour}

	ctx := within(t)
	followed := false
	for range 8 {
		summary, err := archiver.Archive(ctx, dueOrder(due, clock.Now(), archiver.Settle), new(archive.Progress))
		if err != nil {
			t.Fatalf("pass at %s: %v", clock.Now(), err)
		}
		followed = followed || summary.Updated > 0
		clock.Advance(time.Hour)
	}
	if !followed {
		t.Error("no record was in flight: the test shows nothing")
	}

	// Records of the last window that have not settled are still in flight.
	until := clock.Now().Add(-time.Hour).Truncate(time.Hour)
	archived := inFlightAt(t, in)
	for id, status := range archived {
		t.Logf("%s is still %s", id, status)
	}
	want := make(map[string]dataset.Record)
	for i := range data.Functions() {
		for r := range data.Records(i) {
			if r.Start.Before(until) && r.Status != dataset.StatusWait && r.Status != dataset.StatusRunning {
				want[r.RequestID] = r
			}
		}
	}
	got := make(map[string]dataset.Record)
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT request_id, status, COALESCE(error_code, '0')::integer, COALESCE(error_message, ''), start_time, end_time
		  FROM invocations
		 WHERE start_time < $1 AND status NOT IN ('WAIT', 'RUNNING')`, until)
	if err != nil {
		t.Fatal(err)
	}
	var r dataset.Record
	if _, err := pgx.ForEachRow(rows, []any{&r.RequestID, &r.Status, &r.ErrorCode, &r.ErrorMessage, &r.Start, &r.End}, func() error {
		r.Start, r.End = r.Start.UTC(), r.End.UTC()
		got[r.RequestID] = r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// A record that settled within its last pause is asked for again later.
	for id := range archived {
		delete(want, id)
		delete(got, id)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settled records (-service +archive):\n%.4000s", diff)
	}
	if n := queryValue[int64](in, `SELECT count(*) - count(DISTINCT request_id) FROM invocations`); n != 0 {
		t.Errorf("%d request ids have more than one row", n)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM window_coverage WHERE state <> 'complete' AND window_start < $1`, until); n != 0 {
		t.Errorf("%d windows are not complete", n)
	}
	if n := queryValue[int64](in, `
		SELECT count(*)
		  FROM window_coverage w
		  FULL JOIN (
			SELECT function_urn, window_start, count(*) AS n, count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS p
			  FROM invocation_history GROUP BY 1, 2) h
		 USING (function_urn, window_start)
		 WHERE (COALESCE(h.n, 0), COALESCE(h.p, 0)) IS DISTINCT FROM (w.records::bigint, w.pending::bigint)`); n != 0 {
		t.Errorf("%d windows whose counts are not those of their rows", n)
	}
}

// A repeated backfill asks once for each record of its range that is in flight, due or not, and
// for no other one. It does not ask for those that it has read just now.
func TestBackfillFollowsItsRange(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(day.Add(21*time.Hour + 2*time.Second))
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 6, Invocations: 20_000, Seed: 5}, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	api, web := simulator(t, data)
	in := install(t, web.URL)
	archiver := in.inProcess(web.URL, clock)
	archiver.Settle = 0
	backfill := func(from, to int) (calls int64, summary archive.Summary) {
		t.Helper()
		before := api.Stats().ListAsyncInvocations
		summary, err := archiver.Archive(within(t), archive.Order{
			AskedBy: "backfill", FollowRange: true,
			Range: archive.Span{From: day.Add(time.Duration(from) * time.Hour), To: day.Add(time.Duration(to) * time.Hour)},
		}, new(archive.Progress))
		if err != nil {
			t.Fatal(err)
		}
		return api.Stats().ListAsyncInvocations - before, summary
	}
	pending := func() int64 {
		return queryValue[int64](in, `SELECT COALESCE(sum(pending), 0)::bigint FROM window_coverage`)
	}
	backfill(18, 21)
	left := pending()
	if left == 0 {
		t.Fatal("no record is in flight: the test shows nothing")
	}
	if backfill(15, 18); pending() != left {
		t.Errorf("after a backfill of other hours %d records are in flight of %d", pending(), left)
	}
	if calls, summary := backfill(15, 21); calls != left || summary.Windows != 0 || summary.Updated != 0 {
		t.Errorf("the same moment: %d calls for %d records, %+v", calls, left, summary.Totals)
	}
	clock.Advance(3 * time.Hour)
	if calls, summary := backfill(15, 21); calls != left || summary.Windows != 0 || summary.Updated == 0 || pending() >= left {
		t.Errorf("later: %d calls for %d records, of which %d are left, %+v", calls, left, pending(), summary.Totals)
	}
}

// inFlightAt returns the records that the archive has in flight.
func inFlightAt(t *testing.T, in *installation) map[string]string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), in.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), `SELECT request_id, status FROM invocations WHERE status IN ('WAIT', 'RUNNING')`)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	var id, status string
	if _, err := pgx.ForEachRow(rows, []any{&id, &status}, func() error { found[id] = status; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}
