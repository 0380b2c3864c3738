package main

import (
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
)

// TestEnvelopes reads sources that answer a share of the calls with an error in the body
// of a 200, or with neither list, count nor token: such a call is made again, and no hour
// is complete without its records.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	data := generated(t, 4, 400, 7)
	for _, spec := range []string{
		"envelope=0.2",
		"envelope=0.2,envelope-list",
		"envelope=0.2,envelope-list,envelope-words=snake",
		"envelope=0.2,envelope-list,envelope-words=camel",
		"envelope=0.2,envelope-list,envelope-words=pascal",
		"envelope=0.2,envelope-list,envelope-words=short",
		"envelope=0.2,envelope-list,envelope-words=title",
		"envelope=0.3,envelope-list,envelope-error=throttled",
		"hollow=0.2",
	} {
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+spec, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, data, spec, nil)
				url := newServer(t, api)
				in := install(t, url)
				end := archiveIn(t, in.small(cloud, url, 20, time.Minute), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
				endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 96}, nil})
				if api.Stats().Disturbed == 0 {
					t.Error("no call met the fault: the row shows nothing")
				}
			})
		}
	}
}

// TestSentinels reads sources that write a time that a record does not have as the epoch,
// as the year 1, and so on: the archive has no time there, no partition of such a year,
// and no duration below zero.
func TestSentinels(t *testing.T) {
	t.Parallel()
	data := generated(t, 3, 300, 7)
	for _, none := range []string{"absent", "epoch", "year-1", "zero", "max", "empty", "null", "mixed"} {
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+none, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, data, "untimed=0.3,none="+none, nil)
				url := newServer(t, api)
				in := install(t, url)
				end := archiveIn(t, in.small(cloud, url, 20, time.Minute), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
				if end.code != exitDone {
					t.Errorf("exit %d: %s", end.code, end.stderr)
				}
				if states := counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`); states["complete"] != 72 || len(states) != 1 {
					t.Errorf("windows %v", states)
				}
				const rows = `SELECT count(*) FROM invocation_history`
				if n := queryValue[int](in, rows); n != 300 {
					t.Errorf("%d rows", n)
				}
				bare := 0
				for i := range api.Functions() {
					for r := range api.Truth(i) {
						if r.Start.IsZero() || r.End.IsZero() {
							bare++
						}
					}
				}
				if n := queryValue[int](in, rows+` WHERE start_time IS NULL OR end_time IS NULL`); n != bare || bare < 50 {
					t.Errorf("%d rows lack a time, want %d", n, bare)
				}
				if n := queryValue[int](in, rows+` WHERE duration_seconds < 0 OR start_time < $1 OR start_time > $2 OR end_time < $1 OR end_time > $2`, day, day.AddDate(0, 0, 4)); n > 0 {
					t.Errorf("%d rows have impossible times", n)
				}
				if n := queryValue[int](in, `SELECT count(*) FROM pg_class WHERE relname ~ '^invocations_(1970|1969|0001|9999)'`); n > 0 {
					t.Errorf("%d partitions of impossible years", n)
				}
			})
		}
	}
}

// TestSpelling reads sources that write statuses in other case and with blanks.
func TestSpelling(t *testing.T) {
	t.Parallel()
	data := generated(t, 3, 300, 7)
	for _, cloud := range []string{graph, compute} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			api := faulty(t, data, "spelling=loose", nil)
			url := newServer(t, api)
			in := install(t, url)
			end := archiveIn(t, in.small(cloud, url, 0, time.Minute), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
			endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 72}, nil})
			if n := queryValue[int](in, `SELECT count(*) FROM invocation_history WHERE status NOT IN ('SUCCESS', 'FAIL', 'DISCARD')`); n > 0 {
				t.Errorf("%d rows have another status", n)
			}
			if n := queryValue[int](in, `SELECT count(*) FROM invocation_history WHERE source_status <> status`); n < 100 {
				t.Errorf("only %d rows have the source's own word", n)
			}
		})
	}
}

// TestUnknownStatuses follows records that have no end and a status that nobody knows, as
// it follows those in flight.
func TestUnknownStatuses(t *testing.T) {
	t.Parallel()
	data := generated(t, 3, 300, 7)
	for _, cloud := range []string{graph, compute} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			// Signatures go by the machine's clock.
			clock := clocktest.New(time.Now())
			api := faulty(t, data, "spelling=unknown,inflight=0.2,stage=3m,move=none", clock.Now)
			url := newServer(t, api)
			in := install(t, url)
			archiver := in.small(cloud, url, 0, time.Minute)
			archiver.Clock = clock
			order := archive.Order{AskedBy: "backfill", Range: theDaySpan(), Follow: true}
			if end := archiveIn(t, archiver, order); end.code != exitDone {
				t.Errorf("exit %d: %s", end.code, end.stderr)
			}
			strange := `SELECT count(*) FROM invocation_history WHERE end_time IS NULL`
			before := queryValue[int](in, strange)
			pending := queryValue[int](in, `SELECT sum(pending) FROM window_coverage`)
			if before < 30 || pending != before {
				t.Errorf("%d rows have no end, %d are followed", before, pending)
			}
			for range 4 {
				clock.Advance(3 * time.Minute)
				if end := archiveIn(t, archiver, order); end.code != exitDone {
					t.Errorf("exit %d: %s", end.code, end.stderr)
				}
			}
			if n := queryValue[int](in, strange); n > 0 {
				t.Errorf("%d rows have no end once all have settled", n)
			}
			endedAs(in, api, ending{}, ended{exitDone, map[string]int64{"complete": 72}, nil})
		})
	}
}
