package main

import (
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/settings"
	"archiver/internal/simulate/dataset"
)

// TestBadSeconds reads sources that refuse every question that covers some second of the
// day: only these seconds are missing, and their hours name them.
func TestBadSeconds(t *testing.T) {
	t.Parallel()
	evenly := make(map[int]int)
	for hour := range 24 {
		evenly[hour] = 60
	}
	data := trace(t, day, traced{"ticking", perHour(evenly)}, traced{"quiet", perHour(map[int]int{0: 1, 20: 2})})
	for _, c := range []struct {
		seconds string
		hours   int64 // of the first function that fail
	}{
		{"bad-seconds=02:30:00", 1},
		{"bad-seconds=02:30:00,borders=right-open", 1},
		{"bad-seconds=02:30:00,borders=none", 1},
		{"bad-seconds=23:59:30", 1},
		{"bad-seconds=00:00:10", 1},
		{"bad-seconds=02:30:00+14:10:07", 2},
	} {
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+c.seconds, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, data, c.seconds+",only=0.1", nil)
				url := newServer(t, api)
				in := install(t, url)
				archiver := in.small(cloud, url, 0, time.Minute)
				before := 0
				for run := range 3 {
					end := archiveIn(t, archiver, archive.Order{AskedBy: "backfill", Range: theDaySpan()})
					got := counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`)
					if end.code != exitIncomplete || got["failed"] != c.hours || got["complete"] != 48-c.hours || len(got) != 2 {
						t.Errorf("run %d: exit %d, windows %v\n%s", run+1, end.code, got, end.stderr)
					}
					lost := lostRecords(in, api)
					// Each border of the second may be refused as well.
					if n := lost["failed"]; n > 3*int(c.hours) || len(lost) > 1 || len(lost) == 1 && n == 0 {
						t.Errorf("run %d: lost records: %v", run+1, lost)
					}
					// Beyond those that find the seconds, the lists of Function Compute are
					// read from both ends.
					if n := questions(api) - before; n > 80*int(c.hours)+map[string]int{graph: 30, compute: 80}[cloud] {
						t.Errorf("run %d: %d questions", run+1, n)
					}
					before = questions(api)
				}
				if n := queryValue[int64](in, `SELECT count(*) FROM window_coverage WHERE state = 'failed' AND refused_to - refused_from <= '2 seconds' AND last_error <> ''`); n != c.hours {
					t.Errorf("%d failed hours name their second", n)
				}
			})
		}
	}
}

// TestBadSecondDelaysNothing runs hour by hour against a source that refuses a second of
// each day: the hours after it are complete as soon as they are due, and the failed ones
// never grow.
func TestBadSecondDelaysNothing(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(day.Add(-24*time.Hour + 15*time.Minute))
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 2, Invocations: 500, Seed: 11}, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	api := faulty(t, data, "bad-seconds=02:30:00", clock.Now)
	url := newServer(t, api)
	in := install(t, url)
	archiver := in.small(graph, url, 0, time.Minute)
	archiver.Clock, archiver.SourceRetention = clock, 4*24*time.Hour
	due := settings.DueFlags{Lookback: 4 * 24 * time.Hour, VerifyAfter: 6 * time.Hour}
	clock.Advance(24 * time.Hour)
	for tick := range 54 {
		order := dueOrder(due, clock.Now(), archiver.Settle)
		_, _ = archiver.Archive(within(t), order, new(archive.Progress))
		newest := order.Range.To.Add(-time.Hour)
		if newest.Hour() != 2 {
			if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE window_start = $1 AND state = 'complete'`, newest); n != 2 {
				t.Errorf("tick %d at %s: %d of the 2 newest hours are complete", tick, clock.Now().Format(time.RFC3339), n)
			}
		}
		if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE extract(hour FROM window_start AT TIME ZONE 'UTC') <> 2 AND state NOT IN ('complete', 'expired')`); n > 0 && tick > 2 {
			t.Errorf("tick %d: %d hours that answer are not complete", tick, n)
		}
		if t.Failed() {
			return
		}
		clock.Advance(time.Hour)
	}
	if lost := lostRecords(in, api); lost["complete"] > 0 || lost["failed"]+lost["expired"] > 40 {
		t.Errorf("lost: %v", lost)
	}
}
