package figures_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
)

// Each day from the first to the last planned one has a row, with or without records. It
// counts the complete hours, without hours for which the source kept nothing. Other days
// have a row if they have records, however far away they are.
func TestFunctionDaily(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	a.Function("never planned")
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, 30), loadtest.Noted, loadtest.Timed("r", archive.StatusFail, loadtest.Hour(3), time.Second),
		loadtest.Record("s", archive.StatusSuccess, loadtest.Hour(3)), loadtest.Record("waits", archive.StatusWait, loadtest.Hour(4))))
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today.AddDate(0, 0, 3), 1), loadtest.Noted))
	b := loadtest.LastPage(loadtest.Hours(loadtest.Today.AddDate(0, 0, 3).Add(archive.Hour), 1), loadtest.Noted)
	b.Outcome = &archive.Outcome{State: archive.StateFailed, Err: "down"}
	loadtest.Commit(t, c, b)
	// Found by chance, outside of the planned windows.
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(loadtest.Today, 30), loadtest.Noted, loadtest.Record("early", archive.StatusDiscard, loadtest.Hour(-30)),
		loadtest.Record("late", archive.StatusSuccess, loadtest.Hour(300*24))))
	a.Exec(`
		INSERT INTO daily_figures (function_id, day, records, success, fail, discard, in_flight, other)
		SELECT function_id, day, 1, 1, 0, 0, 0, 0
		  FROM functions, unnest('{1970-01-01,9999-12-31}'::date[]) AS day
		 WHERE function_name = 'f'`)
	a.CountFigures()
	daily := func() []string {
		return a.Rows(`SELECT day, records, fail, discard, in_flight, failure_rate, round(p95_seconds::numeric, 1), complete_hours FROM function_daily ORDER BY day`)
	}
	want := []string{
		"(1970-01-01,1,0,0,0,0,,0)", "(2026-03-12,1,0,1,0,1,,0)", "(2026-03-14,3,1,0,1,0.5,1.0,24)",
		"(2026-03-15,0,0,0,0,,,6)", "(2026-03-16,0,0,0,0,,,0)", "(2026-03-17,0,0,0,0,,,1)",
		"(2027-01-08,1,0,0,0,0,,0)", "(9999-12-31,1,0,0,0,0,,0)",
	}
	if diff := cmp.Diff(want, daily()); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
	a.Exec(`
		INSERT INTO notification_setting_versions (function_id, provider, region, project_id, function_urn, valid_from, valid_to, seen_at, enable_async_status_log, raw)
		SELECT function_id, provider, region, project_id, function_urn, $1, $2, $1, false, '{}' FROM functions WHERE function_name = 'f'`, loadtest.Hour(10), loadtest.Hour(26))
	want[2], want[3] = "(2026-03-14,3,1,0,1,0.5,1.0,10)", "(2026-03-15,0,0,0,0,,,4)"
	if diff := cmp.Diff(want, daily()); diff != "" {
		t.Errorf("with a log that was off (-want +got):\n%s", diff)
	}
	if err := a.Days.Retain(t.Context(), loadtest.Today.AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, daily()); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
}

// Codes are summed over hours. The sample is the last message that is not empty.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	failed := func(id string, n int, status, code, message string) archive.Invocation {
		inv := loadtest.Record(id, status, loadtest.Hour(n).Add(time.Minute))
		inv.ErrorCode, inv.ErrorMessage = code, message
		return inv
	}
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Span(0, 24), loadtest.Noted,
		failed("a", 1, archive.StatusFail, "4101", "first"), failed("b", 1, archive.StatusDiscard, "4101", "second"),
		failed("c", 9, archive.StatusFail, "4101", ""), failed("d", 2, archive.StatusFail, "", "no code"),
		failed("e", 2, archive.StatusSuccess, "17", "succeeded all the same")))
	a.CountFigures()
	want := []string{
		`(f,,1,"2026-03-14 02:01:00","2026-03-14 02:01:00","no code")`,
		`(f,4101,3,"2026-03-14 01:01:00","2026-03-14 09:01:00",first)`,
	}
	got := a.Rows(`
		SELECT function_name, error_code, records, first_seen AT TIME ZONE 'UTC', last_seen AT TIME ZONE 'UTC', sample_message
		  FROM error_codes ORDER BY error_code NULLS FIRST`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	want = []string{`(a,FAIL,4101)`, `(b,DISCARD,4101)`, `(c,FAIL,4101)`, `(d,FAIL,)`}
	got = a.Rows(`SELECT request_id, status, error_code FROM failures ORDER BY 1`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}
