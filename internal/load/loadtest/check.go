package loadtest

import (
	"fmt"
	"strings"

	"archiver/internal/archive"
	"archiver/internal/load/figures"
)

// CheckWindows compares the windows' numbers with the rows that they count, and
// the totals with theirs.
func (a *Archive) CheckWindows() {
	a.T.Helper()
	wrong := a.Rows(`
		WITH held AS (
			SELECT function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC') AS window_start,
			       count(*) AS records, count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS pending, 0 AS rejected
			  FROM invocations GROUP BY 1, 2
			UNION ALL
			SELECT function_id, window_start, 0, 0, count(*) FROM rejected_records GROUP BY 1, 2
		), counted AS (
			SELECT function_id, window_start, sum(records) AS records, sum(pending) AS pending, sum(rejected) AS rejected
			  FROM held GROUP BY 1, 2
		)
		SELECT COALESCE(c.function_id, w.function_id), COALESCE(c.window_start, w.window_start),
		       w.records, c.records, w.pending, c.pending, w.rejected, c.rejected
		  FROM counted c
		  FULL JOIN windows w USING (function_id, window_start)
		 WHERE COALESCE(w.records, -1) <> COALESCE(c.records, 0)
		    OR COALESCE(w.pending, -1) <> COALESCE(c.pending, 0)
		    OR COALESCE(w.rejected, -1) <> COALESCE(c.rejected, 0)`)
	if len(wrong) > 0 {
		a.T.Errorf("windows do not count what is there (function, window, each number and what it should be):\n%s",
			strings.Join(wrong, "\n"))
	}
	if twice := a.Rows(`SELECT request_id FROM invocations GROUP BY 1 HAVING count(*) > 1`); len(twice) > 0 {
		a.T.Errorf("more than one row of %v", twice)
	}
	a.CheckTotals()
}

// CheckTotals compares the totals, and the days, with the windows that they sum up.
func (a *Archive) CheckTotals() {
	a.T.Helper()
	wrong := a.Rows(`
		WITH counted AS (
			SELECT function_id,
			       count(*) FILTER (WHERE planned) AS windows,
			       count(*) FILTER (WHERE state = 'complete') AS complete,
			       count(*) FILTER (WHERE planned AND state NOT IN ('complete', 'gone', 'expired')) AS open,
			       count(*) FILTER (WHERE state = 'short') AS short,
			       count(*) FILTER (WHERE state = 'failed') AS failed,
			       count(*) FILTER (WHERE state = 'gone') AS gone,
			       sum(records) AS records, sum(pending) AS pending, sum(rejected) AS rejected,
			       min(window_start) FILTER (WHERE planned) AS planned_from,
			       max(window_start) FILTER (WHERE planned) + interval '1 hour' AS planned_to,
			       min(window_start) FILTER (WHERE state = 'complete') AS complete_from,
			       max(window_start) FILTER (WHERE state = 'complete') + interval '1 hour' AS complete_to,
			       max(window_start) FILTER (WHERE records > 0) + interval '1 hour' AS recorded_to,
			       count(*) FILTER (WHERE state = 'expired') AS expired,
			       count(*) FILTER (WHERE state = 'expired' AND missed AND acknowledged_at IS NULL) AS missed,
			       min(window_start) FILTER (WHERE state = 'expired') AS expired_from,
			       max(window_start) FILTER (WHERE state = 'expired') + interval '1 hour' AS expired_to
			  FROM windows
			 GROUP BY function_id
		)
		SELECT c AS counted, t AS totals
		  FROM counted c
		  FULL JOIN (
			SELECT function_id, windows, complete, open, short, failed, gone, records, pending, rejected,
			       planned_from, planned_to, complete_from, complete_to, recorded_to,
			       expired, missed, expired_from, expired_to
			  FROM window_totals) AS t USING (function_id)
		 WHERE c IS DISTINCT FROM t`)
	if len(wrong) > 0 {
		a.T.Errorf("totals are not those of the windows (counted, kept):\n%s", strings.Join(wrong, "\n"))
	}
	a.CheckDays()
}

// CheckDays compares the days with a sum of their windows.
func (a *Archive) CheckDays() {
	a.T.Helper()
	wrong := a.Rows(`
		WITH counted AS (
			SELECT function_id, date_trunc('day', window_start, 'UTC') AS day,
			       count(*) FILTER (WHERE planned)::integer AS windows,
			       count(*) FILTER (WHERE NOT planned)::integer AS unplanned,
			       count(*) FILTER (WHERE state = 'complete')::integer AS complete,
			       count(*) FILTER (WHERE state = 'complete' AND records + rejected = 0)::integer AS empty,
			       count(*) FILTER (WHERE state = 'complete' AND pending > 0)::integer AS in_flight,
			       count(*) FILTER (WHERE state = 'short')::integer AS short,
			       count(*) FILTER (WHERE state = 'failed')::integer AS failed,
			       count(*) FILTER (WHERE state = 'gone')::integer AS gone,
			       count(*) FILTER (WHERE state = 'expired')::integer AS expired,
			       count(*) FILTER (WHERE state = 'expired' AND missed AND acknowledged_at IS NULL)::integer AS missed,
			       sum(records) AS records, sum(pending) AS pending, sum(rejected) AS rejected
			  FROM windows
			 GROUP BY 1, 2
		)
		SELECT c AS counted, d AS kept
		  FROM counted c
		  FULL JOIN window_days d USING (function_id, day)
		 WHERE (c.windows, c.unplanned, c.complete, c.empty, c.in_flight, c.short, c.failed, c.gone, c.expired, c.missed, c.records, c.pending, c.rejected)
		       IS DISTINCT FROM
		       (d.windows, d.unplanned, d.complete, d.empty, d.in_flight, d.short, d.failed, d.gone, d.expired, d.missed, d.records, d.pending, d.rejected)`)
	if len(wrong) > 0 {
		a.T.Errorf("days are not those of the windows (counted, kept):\n%s", strings.Join(wrong, "\n"))
	}
}

// recounted selects figures, by the key, that differ from a plain count of all rows.
const recounted = `
	WITH rows AS (
		SELECT i.*, f.provider, f.region, f.project_id,
		       date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC') AS window_start,
		       (COALESCE(i.start_time, i.queried_window) AT TIME ZONE 'UTC')::date AS day,
		       CASE WHEN i.status NOT IN ('WAIT', 'RUNNING') AND i.start_time IS NOT NULL AND i.end_time IS NOT NULL
		            THEN GREATEST(EXTRACT(EPOCH FROM i.end_time - i.start_time)::float8, 0) END AS seconds
		  FROM invocations i
		  JOIN functions f USING (function_id)
	), counted AS (
		SELECT %[1]s, count(*) AS records, count(*) FILTER (WHERE status = 'SUCCESS') AS success,
		       count(*) FILTER (WHERE status = 'FAIL') AS fail, count(*) FILTER (WHERE status = 'DISCARD') AS discard,
		       count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS in_flight,
		       count(*) FILTER (WHERE status NOT IN ('SUCCESS', 'FAIL', 'DISCARD', 'WAIT', 'RUNNING')) AS other,
		       count(seconds) AS timed, COALESCE(sum(seconds), 0) AS total_seconds, max(seconds) AS max_seconds,
		       percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS p95
		  FROM rows
		 GROUP BY %[1]s
	)
	SELECT c AS counted, k AS kept, histogram_percentile(k.histogram, 0.95) AS p95
	  FROM counted c
	  FULL JOIN %[2]s k USING (%[1]s)
	 WHERE (c.records, c.success, c.fail, c.discard, c.in_flight, c.other, c.timed)
	       IS DISTINCT FROM (k.records, k.success, k.fail, k.discard, k.in_flight, k.other, k.timed)
	    OR abs(c.total_seconds - k.total_seconds) > 0.001 OR c.max_seconds IS DISTINCT FROM k.max_seconds
	    OR c.timed IS DISTINCT FROM (SELECT COALESCE(sum(n), 0) FROM unnest(k.histogram) AS n)
	    OR (c.p95 IS NULL) <> (histogram_percentile(k.histogram, 0.95) IS NULL)
	    OR abs(c.p95 - histogram_percentile(k.histogram, 0.95)) > 0.001 + 0.045 * c.p95`

// CheckFigures compares all figures with the rows. No day was dropped, and nothing is
// due.
func (a *Archive) CheckFigures() {
	a.T.Helper()
	for table, key := range map[string]string{
		"hourly_figures": "function_id, window_start",
		"daily_figures":  "function_id, day",
		"source_figures": "provider, region, project_id, window_start",
	} {
		if wrong := a.Rows(fmt.Sprintf(recounted, key, table)); len(wrong) > 0 {
			a.T.Errorf("%s are not those of the rows (counted, kept):\n%s", table, strings.Join(wrong, "\n"))
		}
	}
	wrong := a.Rows(`
		WITH counted AS (
			SELECT function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC') AS window_start,
			       left(COALESCE(error_code, ''), 200) AS error_code, count(*) AS records,
			       min(COALESCE(start_time, queried_window)) AS first_seen, max(COALESCE(start_time, queried_window)) AS last_seen,
			       max(error_message) AS message
			  FROM invocations
			 WHERE status IN ('FAIL', 'DISCARD')
			 GROUP BY 1, 2, 3
		)
		SELECT c AS counted, k AS kept
		  FROM counted c
		  FULL JOIN hourly_error_codes k USING (function_id, window_start, error_code)
		 WHERE (c.records, c.first_seen, c.last_seen, c.message IS NULL)
		       IS DISTINCT FROM (k.records, k.first_seen, k.last_seen, k.sample_message IS NULL)`)
	if len(wrong) > 0 {
		a.T.Errorf("error codes are not those of the rows (counted, kept):\n%s", strings.Join(wrong, "\n"))
	}
	if n := Value[int](a, `SELECT count(*) FROM hourly_figures_due`); n != 0 {
		a.T.Errorf("%d notes are left", n)
	}
}

// CountFigures counts all figures that are due.
func (a *Archive) CountFigures() {
	a.T.Helper()
	if err := figures.Count(a.T.Context(), a.DB, archive.SystemClock{}, 0); err != nil {
		a.T.Fatal(err)
	}
}
