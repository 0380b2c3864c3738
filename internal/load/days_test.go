package load

import "strings"

// checkDays compares the days with the windows that they sum up.
func checkDays(a *archiveDB) {
	a.t.Helper()
	wrong := a.rows(`
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
			       sum(records) AS records, sum(pending) AS pending
			  FROM windows
			 GROUP BY 1, 2
		)
		SELECT c AS counted, d AS kept
		  FROM counted c
		  FULL JOIN window_days d USING (function_id, day)
		 WHERE (c.windows, c.unplanned, c.complete, c.empty, c.in_flight, c.short, c.failed, c.gone, c.records, c.pending)
		       IS DISTINCT FROM
		       (d.windows, d.unplanned, d.complete, d.empty, d.in_flight, d.short, d.failed, d.gone, d.records, d.pending)`)
	if len(wrong) > 0 {
		a.t.Errorf("days are not those of the windows (counted, kept):\n%s", strings.Join(wrong, "\n"))
	}
}
