package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"archiver/internal/simulate/dataset"
)

// TestRetention archives a day that is older than the retention. A dry run lists the
// day and changes nothing; a run drops it.
func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	old := now.Truncate(24*time.Hour).AddDate(0, 0, -10)
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 3, Invocations: 3000, Date: old, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	api, web := simulator(t, data)
	in := installEmpty(t, web.URL)
	flags := []string{"--lookback", "3d", "--retention", "5d"}

	code, stdout, stderr := in.run(nil, append([]string{"once", "--dry-run"}, flags...)...)
	if code != exitDone || !strings.Contains(stdout, "216 windows of 3 functions are due and would be read") || !strings.Contains(stdout, "0 of them are known") {
		t.Errorf("dry run of an empty database: exit %d\n%s%s", code, stdout, stderr)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'archiver_internal', 'archiver_days')`); n != 0 {
		t.Errorf("a dry run made %d relations", n)
	}

	from, to := old.Format(time.DateOnly), old.AddDate(0, 0, 1).Format(time.DateOnly)
	if code, _, stderr := in.run(nil, "backfill", "--from", from, "--to", to); code != exitDone {
		t.Fatalf("backfill: exit %d\n%s", code, stderr)
	}
	table := "invocations_" + old.Format("20060102")
	rows := queryValue[int64](in, `SELECT count(*) FROM archiver_days.`+table)
	size := queryValue[int64](in, `SELECT pg_total_relation_size($1::regclass)`, "archiver_days."+table)
	if rows < 2900 {
		t.Fatalf("%d rows are archived", rows)
	}
	if n := queryValue[float32](in, `SELECT reltuples FROM pg_class WHERE relname = $1`, table); int64(n) != rows {
		t.Errorf("statistics of %v rows, there are %d", n, rows)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM pg_stats WHERE tablename IN ($1, 'windows', 'functions', 'invocations') AND attname = 'function_id'`, table); n != 4 {
		t.Errorf("%d of 4 tables have statistics", n)
	}

	const written = `SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM (
		SELECT w::text FROM archiver_internal.windows w UNION ALL SELECT r::text FROM runs r UNION ALL SELECT i::text FROM invocations i
		UNION ALL SELECT f::text FROM functions f UNION ALL SELECT relname FROM pg_class WHERE relname ~ '^invocations_') AS t`
	before, stats := queryValue[string](in, written), api.Stats()
	code, stdout, stderr = in.run(nil, append([]string{"once", "--dry-run"}, flags...)...)
	if code != exitDone {
		t.Fatalf("dry run: exit %d\n%s", code, stderr)
	}
	for _, want := range []string{
		" windows of 3 functions are due and would be read, the oldest of ",
		fmt.Sprintf("%s  %s  %d", old.Format(time.DateOnly), table, rows),
		fmt.Sprintf("1 days would be dropped, all before %s: %d rows, %d bytes\n", now.AddDate(0, 0, -5).Format(time.DateOnly), rows, size),
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("a dry run does not print %q:\n%s", want, stdout)
		}
	}
	if after := queryValue[string](in, written); after != before {
		t.Error("a dry run changed the archive")
	}
	if api.Stats() != stats {
		t.Errorf("a dry run asked the source: %+v, before %+v", api.Stats(), stats)
	}

	code, _, stderr = in.run(nil, append([]string{"once"}, flags...)...)
	if code != exitDone {
		t.Fatalf("once: exit %d\n%s", code, stderr)
	}
	if want := fmt.Sprintf(`"msg":"day dropped","day":%q,"rows":%d,"bytes":%d}`, old.Format(time.DateOnly), rows, size); strings.Count(stderr, want) != 1 {
		t.Errorf("the log has not one %s:\n%s", want, stderr)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows WHERE window_start < $1`, now.AddDate(0, 0, -5).Truncate(24*time.Hour)); n != 0 {
		t.Errorf("%d old windows are left", n)
	}
	// The days to come exist as well.
	if n := queryValue[int64](in, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'archiver_days.invocations_dated'::regclass`); n != 2 {
		t.Errorf("%d days are there, want today and tomorrow", n)
	}
	// What was dropped is not read again, nor is there anything to drop.
	calls := api.Stats().ListAsyncInvocations
	code, stdout, _ = in.run(nil, append([]string{"once"}, flags...)...)
	if code != exitDone || api.Stats().ListAsyncInvocations != calls {
		t.Errorf("once more: exit %d, %s", code, stdout)
	}
	if code, stdout, _ = in.run(nil, append([]string{"once", "--dry-run"}, flags...)...); code != exitDone || !strings.Contains(stdout, "0 days would be dropped") {
		t.Errorf("a dry run after it: exit %d\n%s", code, stdout)
	}
}
