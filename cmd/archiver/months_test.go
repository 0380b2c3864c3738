package main

import (
	"strings"
	"testing"

	"archiver/internal/pgserver"
)

// An archive in which 450 old days have a table each: check says what their merge takes
// and that the server has too little room for locks, and the next pass merges them.
func TestOldDaysAreMerged(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 3, 300, 1))
	in := install(t, web.URL)
	if err := pgserver.Exec(t.Context(), in.database, `
		DO $$
		DECLARE
			d date;
		BEGIN
			FOR d IN SELECT generate_series('2023-01-01'::date, '2024-03-25', '1 day') LOOP
				EXECUTE format('CREATE TABLE archiver_days.invocations_%s PARTITION OF archiver_days.invocations_dated FOR VALUES FROM (%L) TO (%L)',
					to_char(d, 'YYYYMMDD'), d || ' 00:00Z', d + 1 || ' 00:00Z');
				EXECUTE format('CREATE UNIQUE INDEX ON archiver_days.invocations_%s (request_id)', to_char(d, 'YYYYMMDD'));
			END LOOP;
			INSERT INTO invocations (first_archived_at, updated_at, start_time, function_id, request_id, status)
			SELECT t, t, t, 0, t::text, 'SUCCESS' FROM generate_series('2023-01-01 00:00Z'::timestamptz, '2024-03-25 23:00Z', '6 hours') AS t;
		END
		$$`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ tables, days bool }{{tables: true, days: true}, {}} {
		code, said, stderr := in.run(nil, "check")
		for part, is := range map[string]bool{
			"the next pass merges the days of 15 months, one month after the other; it takes up to": want.days,
			"warn  days: a query over all days takes":                                               want.tables,
		} {
			if code != exitDone || strings.Contains(said, part) != is {
				t.Errorf("check, exit %d, says %q: not %v\n%s%s", code, part, is, said, stderr)
			}
		}
		// The newest hour that is archived says too which months are old.
		code, _, stderr = in.run(nil, "backfill", "--from", "2026-03-29", "--to", "2026-03-30")
		merged, ended := strings.LastIndex(stderr, "days merged"), strings.Index(stderr, "run ended")
		if code != exitDone || ended < 0 || merged > ended || merged >= 0 != want.days {
			t.Errorf("backfill, exit %d, does not merge within the run:\n%s", code, stderr)
		}
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^invocations_202[34]'`); n != 15 {
		t.Errorf("%d tables, want 15", n)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM invocations WHERE start_time < '2024-04-01' AND function_id = 0`); n != 1800 {
		t.Errorf("%d rows, want 1800", n)
	}
}
