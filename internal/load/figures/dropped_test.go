package figures_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
)

// figures are all figures of a day, as texts.
func figuresOf(a *loadtest.Archive, d time.Time) []string {
	a.T.Helper()
	return a.Rows(`
		SELECT 'hour', to_char(window_start AT TIME ZONE 'UTC', 'HH24'), records, success, fail, discard, in_flight, timed, total_seconds,
		       (SELECT sum(n) FROM unnest(histogram) AS n)
		  FROM hourly_figures WHERE window_start >= $1 AND window_start < $2
		UNION ALL
		SELECT 'day', complete_hours::text, records, success, fail, discard, in_flight, timed, total_seconds,
		       (SELECT sum(n) FROM unnest(histogram) AS n)
		  FROM function_daily WHERE day = ($1 AT TIME ZONE 'UTC')::date
		UNION ALL
		SELECT 'source', to_char(window_start AT TIME ZONE 'UTC', 'HH24'), records, success, fail, discard, in_flight, timed, total_seconds,
		       (SELECT sum(n) FROM unnest(histogram) AS n)
		  FROM source_hourly WHERE window_start >= $1 AND window_start < $2
		UNION ALL
		SELECT 'code ' || COALESCE(error_code, '-'), sample_message, records, NULL, NULL, NULL, NULL, NULL, NULL, NULL
		  FROM error_codes
		ORDER BY 1, 2`, d, d.AddDate(0, 0, 1))
}

// When a day is dropped, its figures are counted once more and frozen. An hour is counted
// again only if it then has no fewer records.
func TestFiguresOfDroppedDays(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	yesterday := loadtest.Today.AddDate(0, 0, -1)
	failed := loadtest.Timed("failed", archive.StatusFail, yesterday, time.Minute)
	failed.ErrorCode, failed.ErrorMessage = "4101", "timed out"
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(yesterday, 24), loadtest.Noted,
		loadtest.Timed("ok", archive.StatusSuccess, yesterday, time.Second), failed,
		loadtest.Record("stays", archive.StatusRunning, yesterday.Add(time.Minute)),
		loadtest.Record("moves", archive.StatusRunning, yesterday.Add(time.Minute)),
		loadtest.Record("undated", archive.StatusDiscard, time.Time{})))
	a.CountFigures()
	// Not counted when the day is dropped.
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(yesterday, 24), loadtest.Noted, loadtest.Timed("late", archive.StatusSuccess, yesterday, time.Second)))
	if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	check := func(what string, want ...string) {
		t.Helper()
		a.CountFigures()
		if diff := cmp.Diff(want, figuresOf(a, yesterday)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	frozen := []string{
		`("code -",,1,,,,,,,)`, `("code 4101","timed out",1,,,,,,,)`,
		"(day,24,6,2,1,1,2,3,62,3)", "(hour,00,5,2,1,0,2,3,62,3)", "(hour,23,1,0,0,1,0,0,0,)",
		"(source,00,5,2,1,0,2,3,62,3)", "(source,23,1,0,0,1,0,0,0,)",
	}
	check("dropped", frozen...)

	follow := func(inv archive.Invocation) {
		t.Helper()
		r := archive.InFlightRecord{RequestID: inv.RequestID, Window: yesterday}
		if kept, err := c.Follow(t.Context(), r, []archive.Invocation{inv}, nil, loadtest.Later); err != nil || kept.Updated != 1 {
			t.Fatalf("follow: %+v, %v", kept, err)
		}
	}
	late := loadtest.Timed("stays", archive.StatusFail, yesterday.Add(time.Minute), time.Hour)
	late.ErrorCode = "4101"
	follow(late)
	check("one has settled", frozen...)
	if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	check("dropped again", frozen...)

	follow(loadtest.Timed("moves", archive.StatusSuccess, loadtest.Today, time.Second))
	check("one has moved", frozen...)
	if n := loadtest.Value[int](a, `SELECT records FROM hourly_figures WHERE window_start = $1`, loadtest.Today); n != 1 {
		t.Errorf("%d records where it moved", n)
	}

	// The day is read again. As long as fewer records came than were counted, the
	// figures stay.
	again := loadtest.Many(6, loadtest.Hours(yesterday, 1), "again")
	muchLater := loadtest.Later.Add(time.Hour)
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(yesterday, 24), muchLater, again[:4]...))
	check("partly read again", frozen...)
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(yesterday, 24), muchLater, again[:5]...))
	check("as many are read again", `("code -",,1,,,,,,,)`,
		"(day,24,6,5,0,1,0,5,0.685,5)", "(hour,00,5,5,0,0,0,5,0.685,5)", "(hour,23,1,0,0,1,0,0,0,)",
		"(source,00,5,5,0,0,0,5,0.685,5)", "(source,23,1,0,0,1,0,0,0,)")
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(yesterday, 24), muchLater, again...))
	check("read again", `("code -",,1,,,,,,,)`,
		"(day,24,7,6,0,1,0,6,0.8220000000000001,6)", "(hour,00,6,6,0,0,0,6,0.8220000000000001,6)", "(hour,23,1,0,0,1,0,0,0,)",
		"(source,00,6,6,0,0,0,6,0.8220000000000001,6)", "(source,23,1,0,0,1,0,0,0,)")
}
