package main

import (
	"context"
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/simulate/dataset"
)

// The size of the published day, and of the built-in day that replaces it.
const (
	dayFunctions   = 140
	dayInvocations = 758_203
)

// theDay returns the published production day if ARCHIVER_TEST_TRACE names its files,
// else a built-in day of the same size. want is the number of invocations of each
// function.
func theDay(t testing.TB) (data *dataset.Data, want map[string]int64) {
	t.Helper()
	want = make(map[string]int64)
	prefix := os.Getenv("ARCHIVER_TEST_TRACE")
	if prefix == "" {
		data = generated(t, dayFunctions, dayInvocations, 1)
		for i, name := range data.Functions() {
			for range data.Records(i) {
				want[name]++
			}
		}
		return data, want
	}
	data, err := dataset.LoadTrace(prefix, day, 1)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(prefix + "_inv.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		for _, cell := range row[3:] {
			n, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				t.Fatal(err)
			}
			want[row[0]] += int64(math.Round(n))
		}
	}
	return data, want
}

// counts runs a query of names and numbers.
func counts(in *installation, sql string) map[string]int64 {
	in.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		in.t.Fatal(err)
	}
	got := make(map[string]int64)
	var name string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error { got[name] = n; return nil }); err != nil {
		in.t.Fatal(err)
	}
	return got
}

// writes is how many rows of invocations were ever written, over all partitions.
const writes = `
	SELECT COALESCE(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint
	  FROM pg_stat_user_tables
	 WHERE relname LIKE 'invocations%'`

// TestArchiveTheDay archives the day through the simulator's HTTP API, the
// official SDK and a real PostgreSQL, with the real binary.
func TestArchiveTheDay(t *testing.T) {
	t.Parallel()
	data, want := theDay(t)
	api, web := simulator(t, data)
	in := install(t, web.URL)
	t.Log(in.backfill())

	total, fewest := int64(0), int64(0)
	for name, n := range want {
		total += n
		fewest += (n + 499) / 500
		if n == 0 {
			delete(want, name)
		}
	}
	if total != dayInvocations || len(data.Functions()) != dayFunctions {
		t.Fatalf("the day has %d functions and %d invocations", len(data.Functions()), total)
	}
	if diff := cmp.Diff(want, counts(in, `SELECT function_name, count(*) FROM invocation_history GROUP BY 1`)); diff != "" {
		t.Errorf("invocations per function (-trace +archive):\n%s", diff)
	}
	if n := queryValue[int64](in, `SELECT count(DISTINCT request_id) FROM invocations`); n != total {
		t.Errorf("%d distinct request ids, want %d", n, total)
	}
	if diff := cmp.Diff(map[string]int64{"complete": 24 * dayFunctions}, counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`)); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	if n := queryValue[int64](in, `
		SELECT count(*)
		  FROM window_coverage w
		  FULL JOIN (SELECT function_urn, window_start, count(*) AS n FROM invocation_history GROUP BY 1, 2) h
		 USING (function_urn, window_start)
		 WHERE COALESCE(h.n, 0) IS DISTINCT FROM w.records OR w.source_count IS DISTINCT FROM w.records`); n != 0 {
		t.Errorf("%d windows whose count is not that of their rows", n)
	}

	if n := queryValue[int64](in, wrongFigures); n != 0 {
		t.Errorf("%d hours have other figures than rows", n)
	}

	if calls := api.Stats().ListAsyncInvocations; float64(calls) > 1.10*float64(fewest) {
		t.Errorf("%d pages were asked for, %d are the fewest possible", calls, fewest)
	}
	if size := queryValue[int64](in, `
		SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'archiver_days.invocations_dated'::regclass`); size > 230*total {
		t.Errorf("%d bytes a row", size/total)
	}

	// A second backfill has nothing to do: no call but the list of functions,
	// and no row written.
	before := api.Stats().ListAsyncInvocations
	var written int64
	waitFor(t, "the statistics of the first run", func() bool {
		written = queryValue[int64](in, writes)
		return written >= total
	})
	in.backfill()
	if calls := api.Stats().ListAsyncInvocations - before; calls != 0 {
		t.Errorf("the second backfill asked for %d pages", calls)
	}
	if again := queryValue[int64](in, writes); again != written {
		t.Errorf("the second backfill wrote %d rows of invocations", again-written)
	}
}

// waitFor polls until a condition holds that another process brings about.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
