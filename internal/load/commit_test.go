package load

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// physical is what tells a row that was left alone from one written again.
const physical = `SELECT request_id, tableoid::regclass, ctid, xmin FROM invocations ORDER BY request_id`

func TestCommitTheSameAgainWritesNothing(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	s := hours(today.Add(22*time.Hour), 4)
	records := many(500, s, "r")
	for i := range records {
		switch i % 5 {
		case 0:
			records[i].Status, records[i].End = archive.StatusRunning, time.Time{}
		case 1:
			records[i] = archive.Invocation{RequestID: records[i].RequestID, Status: archive.StatusDiscard}
		case 2:
			records[i].Extra = []byte(`{"b":1.50,"a":"x"}`)
		case 3:
			records[i].ErrorCode, records[i].ErrorMessage = "1", "broke"
			// Finer than a row can hold it: the same again all the same.
			records[i].Start = records[i].Start.Add(999 * time.Nanosecond)
		}
	}
	kept := commit(t, c, lastPage(s, noted, records...))
	if want := (archive.Kept{Inserted: 500, InFlight: 100}); kept != want {
		t.Errorf("kept %+v, want %+v", kept, want)
	}
	before := a.Rows(physical)
	if len(before) != 500 {
		t.Fatalf("%d rows", len(before))
	}
	for range 2 {
		kept = commit(t, c, lastPage(s, later, records...))
		if want := (archive.Kept{Unchanged: 500, InFlight: 100}); kept != want {
			t.Errorf("kept again %+v, want %+v", kept, want)
		}
	}
	if diff := cmp.Diff(before, a.Rows(physical)); diff != "" {
		t.Errorf("rows were written again:\n%s", diff)
	}
	a.store.db.Close() // sessions tell their statistics when they end, at the latest
	eventually(t, "the statistics are there", func() bool {
		return value[int64](a, `SELECT COALESCE(sum(n_tup_ins), 0)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'invocations%'`) == 500
	})
	if n := value[int64](a, `SELECT sum(n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'invocations%'`); n != 0 {
		t.Errorf("%d rows were updated or deleted", n)
	}
}

// A life is what a source says of one invocation, answer after answer.
type life struct {
	name    string
	answers []archive.Invocation
	want    string    // the row in the end: leaf, status, start, window, whether it was written again
	read    time.Time // the hour that was asked for
}

// One invocation is one row through its whole life, in its latest state and
// where that state belongs.
func TestCommitLives(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	at := today.Add
	rec := func(status string, start time.Time) archive.Invocation { return record("", status, start) }
	const day = 24 * time.Hour
	none := time.Time{}
	lives := []life{
		{"waits, runs, succeeds", []archive.Invocation{
			rec("WAIT", none), rec("RUNNING", at(time.Minute)), rec("SUCCESS", at(time.Minute)),
		}, `(invocations_20260314,SUCCESS,"2026-03-14 00:01:00","2026-03-14 00:00:00",t)`, today},
		{"moves within the day", []archive.Invocation{
			rec("RUNNING", at(time.Minute)), rec("SUCCESS", at(5*time.Hour)),
		}, `(invocations_20260314,SUCCESS,"2026-03-14 05:00:00","2026-03-14 05:00:00",t)`, today},
		{"moves over midnight", []archive.Invocation{
			rec("WAIT", at(23*time.Hour)), rec("SUCCESS", at(day)),
		}, `(invocations_20260315,SUCCESS,"2026-03-15 00:00:00","2026-03-15 00:00:00",t)`, today},
		{"moves over a month", []archive.Invocation{
			rec("SUCCESS", at(17*day)), rec("SUCCESS", at(18*day)),
		}, `(invocations_20260401,SUCCESS,"2026-04-01 00:00:00","2026-04-01 00:00:00",t)`, today},
		{"moves back", []archive.Invocation{
			rec("FAIL", at(day)), rec("FAIL", at(-day)),
		}, `(invocations_20260313,FAIL,"2026-03-13 00:00:00","2026-03-13 00:00:00",t)`, today},
		{"gets a start", []archive.Invocation{
			rec("DISCARD", none), rec("SUCCESS", at(3*time.Hour)),
		}, `(invocations_20260314,SUCCESS,"2026-03-14 03:00:00","2026-03-14 03:00:00",t)`, today},
		{"loses its start", []archive.Invocation{
			rec("SUCCESS", at(3*time.Hour)), rec("DISCARD", none),
		}, `(invocations_undated,DISCARD,,"2026-03-14 03:00:00",t)`, today},
		{"is discarded", []archive.Invocation{
			rec("WAIT", none), rec("DISCARD", none),
		}, `(invocations_undated,DISCARD,,"2026-03-14 00:00:00",t)`, today},
		{"settled, a stale WAIT", []archive.Invocation{
			rec("SUCCESS", at(time.Hour)), rec("WAIT", at(time.Hour)),
		}, `(invocations_20260314,SUCCESS,"2026-03-14 01:00:00","2026-03-14 01:00:00",f)`, today},
		{"settled, a stale WAIT of another day", []archive.Invocation{
			rec("SUCCESS", at(3*day)), rec("WAIT", at(0)),
		}, `(invocations_20260317,SUCCESS,"2026-03-17 00:00:00","2026-03-17 00:00:00",f)`, today},
		{"settled, a stale WAIT without a start", []archive.Invocation{
			rec("SUCCESS", at(-3*day)), rec("WAIT", none),
		}, `(invocations_20260311,SUCCESS,"2026-03-11 00:00:00","2026-03-11 00:00:00",f)`, today},
		{"discarded, a stale RUNNING", []archive.Invocation{
			rec("DISCARD", none), rec("RUNNING", at(time.Hour)),
		}, `(invocations_undated,DISCARD,,"2026-03-14 00:00:00",f)`, today},
		{"fails, is tried again days later", []archive.Invocation{
			rec("FAIL", at(0)), rec("SUCCESS", at(3*day+time.Hour)),
		}, `(invocations_20260317,SUCCESS,"2026-03-17 01:00:00","2026-03-17 01:00:00",t)`, today},
		{"fails, in flight again, succeeds", []archive.Invocation{
			rec("FAIL", at(0)), rec("RUNNING", at(time.Hour)), rec("SUCCESS", at(time.Hour)),
		}, `(invocations_20260314,SUCCESS,"2026-03-14 01:00:00","2026-03-14 01:00:00",t)`, today},
		{"a status of the source's own", []archive.Invocation{
			rec("WAIT", at(0)), {Status: "HIBERNATING", Start: at(0)},
		}, `(invocations_20260314,HIBERNATING,"2026-03-14 00:00:00","2026-03-14 00:00:00",t)`, today},
		{"the source's word changes", []archive.Invocation{
			{Status: "SUCCESS", SourceStatus: "ok", Start: at(0)}, {Status: "SUCCESS", SourceStatus: "fine", Start: at(0)},
		}, `(invocations_20260314,SUCCESS,"2026-03-14 00:00:00","2026-03-14 00:00:00",t)`, today},
		{"before 1970", []archive.Invocation{
			rec("RUNNING", time.Date(1969, 12, 31, 23, 59, 59, 999999_000, time.UTC)),
			rec("SUCCESS", time.Date(1969, 12, 31, 23, 59, 59, 999999_000, time.UTC)),
		}, `(invocations_undated,SUCCESS,,"2026-03-14 00:00:00",t)`, today},
		{"the last moment of years", []archive.Invocation{
			rec("SUCCESS", time.Date(9999, 12, 31, 23, 59, 59, 999999_999, time.UTC)),
		}, `(invocations_undated,SUCCESS,,"2026-03-14 00:00:00",f)`, today},
		{"the first day of years", []archive.Invocation{
			rec("SUCCESS", time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)),
		}, `(invocations_undated,SUCCESS,,"2026-03-14 00:00:00",f)`, today},
		{"a leap day", []archive.Invocation{
			rec("SUCCESS", time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)),
		}, `(invocations_20280229,SUCCESS,"2028-02-29 12:00:00","2028-02-29 12:00:00",f)`, time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)},
		{"another zone's day", []archive.Invocation{
			rec("SUCCESS", time.Date(2026, 3, 14, 1, 0, 0, 0, time.FixedZone("", 5*3600+1800))),
		}, `(invocations_20260313,SUCCESS,"2026-03-13 19:30:00","2026-03-13 19:00:00",f)`, today},
	}
	for i, l := range lives {
		t.Run(l.name, func(t *testing.T) {
			a := a.in(t)
			c := a.newClaim(l.name)
			id := fmt.Sprintf("id-%02d", i)
			for n, inv := range l.answers {
				inv.RequestID = id
				commit(t, c, page(hours(l.read, 1), noted.Add(time.Duration(n)*time.Hour), inv))
			}
			got := a.Rows(`
				SELECT i.tableoid::regclass, i.status, i.start_time AT TIME ZONE 'UTC', h.window_start AT TIME ZONE 'UTC',
				       i.updated_at > i.first_archived_at
				  FROM invocations i
				  JOIN invocation_history h USING (request_id)
				 WHERE i.request_id = $1`, id)
			if diff := cmp.Diff([]string{l.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			first := value[time.Time](a, `SELECT first_archived_at FROM invocations WHERE request_id = $1`, id)
			if !first.Equal(noted) {
				t.Errorf("first archived at %s", first)
			}
			a.CheckWindows()
		})
	}
}

func TestCommitIDs(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	var records []archive.Invocation
	for _, id := range []string{
		strings.Repeat("x", archive.MaxRequestID), strings.Repeat("é", archive.MaxRequestID),
		strings.Repeat("🜚", archive.MaxRequestID), "a", "A", "ä", "a\u0308", " ", "a ", "a\tb\n", `"\'`, "NULL",
	} {
		records = append(records, record(id, archive.StatusSuccess, today))
	}
	if kept := commit(t, c, lastPage(hours(today, 1), noted, records...)); kept.Inserted != len(records) {
		t.Errorf("%+v", kept)
	}
	if kept := commit(t, c, lastPage(hours(today, 1), noted, records...)); kept.Unchanged != len(records) {
		t.Errorf("again: %+v", kept)
	}
	for _, r := range records {
		if n := value[int](a, `SELECT count(*) FROM invocations WHERE request_id = $1`, r.RequestID); n != 1 {
			t.Errorf("%d rows of %q", n, r.RequestID)
		}
	}
}

// A request id that two functions give is one row all the same, of the
// function that gave it first.
func TestCommitSharedID(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	first, second := a.newClaim("first"), a.newClaim("second")
	s := hours(today, 1)
	commit(t, first, lastPage(s, noted, record("r", archive.StatusFail, today)))
	commit(t, second, lastPage(s, later, record("r", archive.StatusSuccess, today.Add(time.Hour))))
	want := []string{`(urn:first,SUCCESS)`}
	if diff := cmp.Diff(want, a.Rows(`SELECT function_urn, status FROM invocation_history`)); diff != "" {
		t.Error(diff)
	}
	a.CheckWindows()
}

// Two walks of the same hours are never open at once: a checkpoint replaces the walks of
// its hours that earlier questions left open.
func TestCheckpointReplacesWalks(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	cut := func(s archive.Span) archive.Batch {
		b := page(s, noted)
		b.Walk.Cursor, b.Pieces = "", s.Cut(2)
		return b
	}
	for _, step := range []struct {
		batch archive.Batch
		want  []string
	}{
		{cut(span(0, 8)), []string{"(0,4)", "(4,8)"}},
		{cut(span(0, 4)), []string{"(0,2)", "(2,4)", "(4,8)"}},
		{page(span(0, 4), noted), []string{"(0,4)", "(4,8)"}},
		{page(span(0, 4), noted), []string{"(0,4)", "(4,8)"}},
		{lastPage(span(2, 3), noted), []string{"(4,8)"}},
		{cut(span(3, 7)), []string{"(3,5)", "(5,7)"}},
		{lastPage(span(0, 8), noted), []string{}},
	} {
		commit(t, c, step.batch)
		got := a.Rows(`
			SELECT extract(epoch FROM span_from - $1)::integer / 3600, extract(epoch FROM span_to - $1)::integer / 3600
			  FROM archiver_internal.walks ORDER BY 1`, hour(0))
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", step.batch.Walk, diff)
		}
		work, err := c.Work(t.Context(), archive.Order{Range: span(0, 8)}, noted)
		n := len(work.Windows)
		for _, open := range work.Open {
			n += open.Span.Windows()
		}
		if done := value[int](a, `SELECT count(*) FROM windows WHERE state = 'complete'`); err != nil || n != 8-done {
			t.Errorf("after %+v, %+v are to be read, %v", step.batch.Walk, work, err)
		}
	}
}
