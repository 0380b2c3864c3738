package main

import (
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/settings"
	"archiver/internal/simulate/dataset"
)

// TestWidestRange reads sources that refuse ranges wider than a day, or than half of one.
// What the first functions teach, the others do not pay for.
func TestWidestRange(t *testing.T) {
	t.Parallel()
	many, few := generated(t, 20, 1000, 7), generated(t, 5, 250, 7)
	// The records of the first hour are older than those of the span.
	span := archive.Span{From: day.Add(time.Hour), To: day.AddDate(0, 0, 3)}
	for _, c := range []struct {
		spec  string
		data  *dataset.Data
		calls int // each function needs
	}{
		{"range=24h", many, 4},
		{"range=24h,range-status=504", few, 4},
		{"range=12h", few, 7},
		{"range=12h,range-status=504", many, 7},
		{"range=5h", few, 18},
		{"range=1h2s", few, 72},
		{"range=24h,only=0.05", many, 1},
	} {
		functions, earlier := len(c.data.Functions()), lost{}
		for i := range functions {
			for r := range c.data.Records(i) {
				if r.Start.Before(span.From) {
					earlier[""]++
				}
			}
		}
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+c.spec, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, c.data, c.spec, nil)
				url := newServer(t, api)
				in := install(t, url)
				end := archiveIn(t, in.small(cloud, url, 0, time.Minute), archive.Order{AskedBy: "backfill", Range: span})
				endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": int64(functions * 71)}, earlier})
				if n, most := questions(api), functions*c.calls*2+200; n > most {
					t.Errorf("%d questions, want at most %d", n, most)
				}
			})
		}
	}
}

// lastDays is live data of the last days, by the machine's clock.
func lastDays(t testing.TB, functions, perDay, days int) *dataset.Data {
	t.Helper()
	began := time.Now().AddDate(0, 0, 1-days)
	made := false
	data, err := dataset.Live(dataset.GenerateOptions{Functions: functions, Invocations: perDay, Seed: 5}, func() time.Time {
		if !made {
			return began // the day before is the first one
		}
		return time.Now()
	})
	if err != nil {
		t.Fatal(err)
	}
	made = true
	return data
}

// hoursAgo is the beginning of an hour, in the form of --from and --to.
func hoursAgo(hours int) string {
	return archive.WindowOf(time.Now()).Add(-time.Duration(hours) * time.Hour).Format(time.RFC3339)
}

// TestThirtyDays reads a source that refuses ranges over 30 days with the defaults: with
// a second on both sides, 30 days are more than 30 days.
func TestThirtyDays(t *testing.T) {
	t.Parallel()
	api := faulty(t, lastDays(t, 2, 400, 32), "range=30d", nil)
	in := install(t, newServer(t, api))
	code, stdout, stderr := in.run(quickly, "backfill", "--from", hoursAgo(30*24), "--to", hoursAgo(1))
	if code != exitDone || !strings.Contains(stdout, "1438 of 1438 windows complete") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if n := questions(api); n > 40 {
		t.Errorf("%d questions", n)
	}
	if lost := lostRecords(in, api); lost["complete"] > 0 {
		t.Errorf("lost: %v", lost)
	}
}

// TestForgotten reads eight days of sources that keep five, and refuse an earlier
// beginning, or answer it without the older records. Nothing tells the archiver that they
// keep five days. The hours that may be forgotten are expired; the others are complete.
func TestForgotten(t *testing.T) {
	t.Parallel()
	const keeps, asked = 5 * 24, 8 * 24
	for _, answer := range []string{"refuse", "empty"} {
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+answer, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, lastDays(t, 3, 1200, 9), "keeps=5d,keeps-answer="+answer, nil)
				url := newServer(t, api)
				in := install(t, url)
				if cloud == compute {
					in = in.ofAlibaba(url)
				}
				code, stdout, stderr := in.run(quickly, "backfill", "--from", hoursAgo(asked), "--to", hoursAgo(1))
				edge := time.Now().Add(-keeps * time.Hour)
				// Records that the source forgets while this run reads their hour are missed.
				missed := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE expired_reason = 'missed' AND window_start BETWEEN $1 AND $2`, edge.Add(-time.Hour), edge)
				if code != exitDone && missed == 0 {
					t.Errorf("exit %d\n%s%s", code, stdout, stderr)
				}
				if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE window_start < $1 AND (state, expired_reason) IS DISTINCT FROM ('expired', 'too old')`, edge); n > missed {
					t.Errorf("%d windows that the source has forgotten are not expired", n)
				}
				// The first hours may have no record that proves their age.
				if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE window_start > $1 AND state NOT IN ('complete', 'pending')`, edge.Add(3*time.Hour)); n > 0 {
					t.Errorf("%d windows that the source has are not complete", n)
				}
				if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE state = 'complete'`); n < 3*(keeps-5) {
					t.Errorf("%d windows are complete", n)
				}
				if lost := lostRecords(in, api); lost["complete"] > 0 {
					t.Errorf("lost: %v", lost)
				}
				// 6,000 records are 12 pages, or 60 of Function Compute, which are read from
				// both ends.
				if n, most := questions(api), map[string]int{graph: 120, compute: 300}[cloud]; n > most {
					t.Errorf("%d questions", n)
				}
			})
		}
	}
}

// TestTenYears asks for ten years of a source that keeps a month: no row for each hour,
// and no hour of which nothing is known is complete.
func TestTenYears(t *testing.T) {
	t.Parallel()
	api := faulty(t, lastDays(t, 2, 400, 2), "", nil)
	in := install(t, newServer(t, api))
	code, stdout, stderr := in.run(append([]string{"ARCHIVER_SOURCE_RETENTION=30d"}, quickly...), "backfill", "--from", hoursAgo(10*365*24), "--to", hoursAgo(1))
	if code != exitDone {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if n := queryValue[int](in, `SELECT count(*) FROM window_coverage`); n > 2*31*24 {
		t.Errorf("%d rows of windows", n)
	}
	if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE state = 'complete' AND window_start < $1`, time.Now().AddDate(0, 0, -4)); n > 0 {
		t.Errorf("%d hours are complete of which nothing is known", n)
	}
	if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE state = 'complete'`); n < 2*24 {
		t.Errorf("%d hours are complete", n)
	}
	if n := questions(api); n > 300 {
		t.Errorf("%d questions", n)
	}
	if lost := lostRecords(in, api); lost["complete"] > 0 {
		t.Errorf("lost: %v", lost)
	}
}

// TestMissed has an hour fail until the source forgets it: it is expired and missed, with
// what is held of it, and one run says so.
func TestMissed(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(day.Add(-24*time.Hour + 15*time.Minute))
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 2, Invocations: 500, Seed: 11}, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	api := faulty(t, data, "keeps=5d,keeps-answer=empty,bad-seconds=2026-03-29T02:30:00", clock.Now)
	url := newServer(t, api)
	in := install(t, url)
	archiver := in.small(graph, url, 0, time.Minute)
	archiver.Clock, archiver.SourceRetention = clock, 5*24*time.Hour
	due := settings.DueFlags{Lookback: 5 * 24 * time.Hour}
	clock.Advance(27 * time.Hour) // the bad hour is the newest one
	told := 0
	for range 14 {
		end := archiveIn(t, archiver, dueOrder(due, clock.Now(), archiver.Settle))
		missed := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE expired_reason = 'missed'`)
		failed := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE state = 'failed'`)
		forgotten := clock.Now().After(day.Add(3*time.Hour + 5*24*time.Hour))
		switch {
		case !forgotten && (failed != 2 || missed != 0 || end.code != exitIncomplete):
			t.Errorf("at %s: %d failed, %d missed, exit %d", clock.Now(), failed, missed, end.code)
		case forgotten && (failed != 0 || missed != 2):
			t.Errorf("at %s: %d failed, %d missed, exit %d", clock.Now(), failed, missed, end.code)
		case forgotten && end.code == exitIncomplete:
			told++
		}
		clock.Advance(12 * time.Hour)
	}
	if told != 1 {
		t.Errorf("%d runs say that windows were missed, want 1", told)
	}
	if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE expired_reason = 'missed' AND records > 0`); n == 0 {
		t.Error("what is held of the missed hours is not kept")
	}
	if lost := lostRecords(in, api); lost["complete"] > 0 {
		t.Errorf("lost: %v", lost)
	}
}
