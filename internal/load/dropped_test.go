package load

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/days"
)

// figures are all figures of a day, as texts.
func (a *archiveDB) figures(d time.Time) []string {
	a.t.Helper()
	return a.rows(`
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
	a := newArchive(t)
	c := a.newClaim("f")
	yesterday := today.AddDate(0, 0, -1)
	failed := timed("failed", archive.StatusFail, yesterday, time.Minute)
	failed.ErrorCode, failed.ErrorMessage = "4101", "timed out"
	commit(t, c, lastPage(hours(yesterday, 24), noted,
		timed("ok", archive.StatusSuccess, yesterday, time.Second), failed,
		record("stays", archive.StatusRunning, yesterday.Add(time.Minute)),
		record("moves", archive.StatusRunning, yesterday.Add(time.Minute)),
		record("undated", archive.StatusDiscard, time.Time{})))
	countFigures(t, a.store)
	// Not counted when the day is dropped.
	commit(t, c, lastPage(hours(yesterday, 24), noted, timed("late", archive.StatusSuccess, yesterday, time.Second)))
	if err := a.store.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	check := func(what string, want ...string) {
		t.Helper()
		countFigures(t, a.store)
		if diff := cmp.Diff(want, a.figures(yesterday)); diff != "" {
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
		if kept, err := c.Follow(t.Context(), r, []archive.Invocation{inv}, nil, later); err != nil || kept.Updated != 1 {
			t.Fatalf("follow: %+v, %v", kept, err)
		}
	}
	late := timed("stays", archive.StatusFail, yesterday.Add(time.Minute), time.Hour)
	late.ErrorCode = "4101"
	follow(late)
	check("one has settled", frozen...)
	if err := a.store.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	check("dropped again", frozen...)

	follow(timed("moves", archive.StatusSuccess, today, time.Second))
	check("one has moved", frozen...)
	if n := value[int](a, `SELECT records FROM hourly_figures WHERE window_start = $1`, today); n != 1 {
		t.Errorf("%d records where it moved", n)
	}

	// The day is read again. As long as fewer records came than were counted, the
	// figures stay.
	again := many(6, hours(yesterday, 1), "again")
	muchLater := later.Add(time.Hour)
	commit(t, c, page(hours(yesterday, 24), muchLater, again[:4]...))
	check("partly read again", frozen...)
	commit(t, c, page(hours(yesterday, 24), muchLater, again[:5]...))
	check("as many are read again", `("code -",,1,,,,,,,)`,
		"(day,24,6,5,0,1,0,5,0.685,5)", "(hour,00,5,5,0,0,0,5,0.685,5)", "(hour,23,1,0,0,1,0,0,0,)",
		"(source,00,5,5,0,0,0,5,0.685,5)", "(source,23,1,0,0,1,0,0,0,)")
	commit(t, c, lastPage(hours(yesterday, 24), muchLater, again...))
	check("read again", `("code -",,1,,,,,,,)`,
		"(day,24,7,6,0,1,0,6,0.8220000000000001,6)", "(hour,00,6,6,0,0,0,6,0.8220000000000001,6)", "(hour,23,1,0,0,1,0,0,0,)",
		"(source,00,6,6,0,0,0,6,0.8220000000000001,6)", "(source,23,1,0,0,1,0,0,0,)")
}

// A day is dropped while records are committed into it and figures are counted. Each
// record is counted once, also if it is gone.
func TestFiguresDuringRetention(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const rounds = 10
	c, yesterday := a.newClaim("f"), today.AddDate(0, 0, -1)
	other := openStore(t, a.url)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			if err := other.CountFigures(t.Context(), archive.SystemClock{}, 0); err != nil {
				t.Error(err)
			}
		}
	}()
	for n := range rounds {
		at := noted.Add(time.Duration(n) * time.Minute)
		commit(t, c, lastPage(hours(yesterday, 24), at, timed(fmt.Sprint("r", n), archive.StatusSuccess, yesterday.Add(time.Duration(n)*archive.Hour), time.Second)))
		if err := a.store.Retain(t.Context(), today); err != nil && !days.IsBlocked(err) {
			t.Fatal(err)
		}
	}
	<-done
	countFigures(t, a.store)
	if n := value[int](a, `SELECT records FROM function_daily WHERE day = '2026-03-13'`); n != rounds {
		t.Errorf("%d records are counted, want %d", n, rounds)
	}
}
