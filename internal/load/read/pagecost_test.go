package read_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
	"archiver/internal/page"
)

// The page shows 1,000 functions and 90 days without reading their 2.2 million
// windows. The cost is counted in queries and in the blocks they read. About 18,000
// of the blocks are the sums of window_days, and for each function the first and
// the last of its windows.
func TestPageCost(t *testing.T) {
	t.Parallel()
	const functions, days = 1000, 90
	a := loadtest.New(t, load.New)
	now := time.Date(2026, 3, 14, 9, 25, 0, 0, time.UTC)
	generate(a, functions, days, now.Truncate(time.Hour))

	asked := a.Watch()
	p := &page.Page{Store: a.Read, Clock: clocktest.New(now), Log: slog.New(slog.DiscardHandler), SourceRetention: func(string) time.Duration { return 720 * time.Hour }}
	for _, test := range []struct {
		path   string
		blocks int // at most
	}{
		{"/", 30_000},
		{"/?zoom=day", 27_000},
		{"/?zoom=week", 30_000},
		{"/?zoom=month", 43_000},
		{"/?zoom=quarter", 43_000},
		{"/?zoom=year", 43_000},
		{"/?zoom=quarter&page=9", 43_000},
		{"/?zoom=quarter&q=function-7", 27_000},
	} {
		asked()
		answer := httptest.NewRecorder()
		began := time.Now()
		p.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, test.path, nil))
		took := time.Since(began)
		if answer.Code != http.StatusOK {
			t.Fatalf("GET %s: %d", test.path, answer.Code)
		}
		queries, blocks := asked(), 0
		for _, q := range queries {
			blocks += a.Blocks(q.SQL, q.Args...)
		}
		t.Logf("GET %s: %d questions, %d blocks, %d KB, %s", test.path, len(queries), blocks, answer.Body.Len()>>10, took.Round(time.Millisecond))
		if len(queries) != 10 || blocks > test.blocks || answer.Body.Len() > 1<<20 {
			t.Errorf("GET %s: %d questions, %d blocks and %d bytes, want 10, and %d and 1 MB at most", test.path, len(queries), blocks, answer.Body.Len(), test.blocks)
		}
	}
}

// generate makes the windows of functions and their sums, by one statement each:
// triggers would hold all rows in memory.
func generate(a *loadtest.Archive, functions, days int, now time.Time) {
	a.Exec(`
		INSERT INTO functions (provider, region, project_id, function_urn, function_name, first_seen, last_seen)
		SELECT 'functiongraph', 'r', 'p', 'urn:' || n, 'function-' || n, $2, $2
		  FROM generate_series(1, $1::integer) AS n`, functions, now)
	a.Exec(`ALTER TABLE windows DISABLE TRIGGER USER, DROP CONSTRAINT windows_pkey`)
	a.Exec(`
		INSERT INTO windows (function_id, window_start, state, planned, records, source_count, attempts, completed_at, verified_at, last_error)
		SELECT function_id, h, CASE WHEN bad THEN 'failed' ELSE 'complete' END, true, n, n, 1, h, h, CASE WHEN bad THEN 'down' END
		  FROM (
			SELECT function_id, h, function_id % 20 = 0 AND h >= $1::timestamptz - interval '9 hours' AS bad, CASE WHEN function_id % 3 = 0 THEN 0 ELSE 5 END AS n
			  FROM functions
			 CROSS JOIN LATERAL generate_series($1::timestamptz - $2::integer * interval '1 day', $1 - interval '3 hours', interval '1 hour') AS h
			 ORDER BY function_id, h) AS w`, now, days)
	a.Exec(`ALTER TABLE windows ENABLE TRIGGER USER, ADD PRIMARY KEY (function_id, window_start)`)
	a.Exec(`
		INSERT INTO window_days
		SELECT function_id, date_trunc('day', window_start, 'UTC'), count(*), 0, count(*) FILTER (WHERE state = 'complete'),
		       count(*) FILTER (WHERE state = 'complete' AND records = 0), 0, 0,
		       count(*) FILTER (WHERE state = 'failed'), 0, sum(records), 0, 0
		  FROM windows
		 GROUP BY 1, 2
		 ORDER BY 2, 1`)
	a.Exec(`
		INSERT INTO notification_setting_versions (function_id, provider, region, project_id, function_urn, valid_from, seen_at, enable_async_status_log, raw)
		SELECT function_id, provider, region, project_id, function_urn, $1::timestamptz - function_id * interval '2 hours', $1, false, '{}'
		  FROM functions
		 WHERE function_id % 3 = 0`, now)
	a.Exec(`VACUUM ANALYZE windows, window_days, functions, notification_setting_versions`)
}
