SELECT run_id, asked_by, range_from, range_to, started_at, finished_at,
       windows, complete, records, calls, outcome, error,
       seen_at, windows_planned, windows_done, records_done, calls_done, refused_done, clocks
  FROM runs
 WHERE outcome = 'running' AND seen_at >= @seen_since
 -- Each half uses an index. The same conditions with OR would scan all runs.
 UNION
(SELECT run_id, asked_by, range_from, range_to, started_at, finished_at,
       windows, complete, records, calls, outcome, error,
       seen_at, windows_planned, windows_done, records_done, calls_done, refused_done, clocks
  FROM runs
 ORDER BY run_id DESC
 LIMIT @most) -- numbers have gaps
 ORDER BY run_id DESC
