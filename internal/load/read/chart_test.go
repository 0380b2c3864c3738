package read_test

import (
	"testing"
	"time"

	"archiver/internal/load"
	"archiver/internal/load/loadtest"
)

// A chart of a year reads some hundred blocks: of one function among 1,000 or of all,
// by hour or by day. Only every 25th function has figures: each hour and day of one
// function still lies on a block of its own.
func TestYearsChart(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	a.Exec(`
		INSERT INTO functions (provider, region, project_id, function_urn, function_name, first_seen, last_seen)
		SELECT 'functiongraph', 'cn-north-4', 'p', 'urn:' || n, 'f' || n, now(), now()
		  FROM generate_series(1, 1000) AS n`)
	a.Exec(`
		INSERT INTO hourly_figures (function_id, window_start, records, success, fail, discard, in_flight, other, timed, total_seconds, max_seconds, histogram)
		SELECT function_id, hour, 60, 58, 1, 0, 1, 0, 59, 100, 7.5, '[57:72]={1,2,3,4,5,6,7,7,6,5,4,3,2,1,1,2}'
		  FROM generate_series(timestamptz '2025-03-14 00:00Z', '2026-03-13 23:00Z', interval '1 hour') AS hour,
		       generate_series(25, 1000, 25) AS function_id`)
	a.Exec(`
		INSERT INTO daily_figures (function_id, day, records, success, fail, discard, in_flight, other, timed, total_seconds, max_seconds, histogram)
		SELECT function_id, day, 1440, 1416, 12, 0, 12, 0, 1428, 2400, 7.5, '[57:72]={1,2,3,4,5,6,7,7,6,5,4,3,2,1,1,2}'
		  FROM generate_series(timestamp '2025-03-14', '2026-03-13', interval '1 day') AS day,
		       generate_series(25, 1000, 25) AS function_id`)
	a.Exec(`
		INSERT INTO source_figures (provider, region, project_id, window_start, functions, records, success, fail, discard, in_flight, other, timed, total_seconds, max_seconds, histogram)
		SELECT 'functiongraph', 'cn-north-4', 'p', hour, 1000, 60000, 58000, 1000, 0, 1000, 0, 59000, 100000, 7.5,
		       array_fill(500, ARRAY[118])
		  FROM generate_series(timestamptz '2025-03-14 00:00Z', '2026-03-13 23:00Z', interval '1 hour') AS hour`)
	for _, table := range []string{"functions", "hourly_figures", "daily_figures", "source_figures"} {
		a.Exec(`VACUUM ANALYZE ` + table)
	}
	const hours, days = 365 * 24, 365
	for name, chart := range map[string]struct {
		sql          string
		points, most int // rows, blocks
	}{
		"one function by hour": {`
			SELECT window_start, records, fail, failure_rate
			  FROM function_hourly
			 WHERE function_urn = 'urn:500' AND window_start >= '2025-03-14 00:00Z'`, hours, 600},
		"one function by day": {`
			SELECT day, records, fail, p95_seconds
			  FROM function_daily
			 WHERE function_urn = 'urn:500' AND day >= '2025-03-14'`, days, 2500},
		"all functions by hour": {`
			SELECT window_start, sum(records), sum(fail)
			  FROM source_hourly
			 WHERE window_start >= '2025-03-14 00:00Z'
			 GROUP BY window_start`, hours, 900},
		"all functions by day": {`
			SELECT (window_start AT TIME ZONE 'UTC')::date AS day, sum(records), sum(fail)
			  FROM source_hourly
			 WHERE window_start >= '2025-03-14 00:00Z'
			 GROUP BY day`, days, 900},
	} {
		blocks := a.Blocks(chart.sql)
		began := time.Now()
		points := len(a.Rows(chart.sql))
		t.Logf("%s: %d points of %d blocks in %s", name, points, blocks, time.Since(began).Round(time.Millisecond))
		if points != chart.points || blocks > chart.most {
			t.Errorf("%s: %d points, want %d, of %d blocks, at most %d", name, points, chart.points, blocks, chart.most)
		}
	}
}
