SELECT r.run_id, r.asked_by, s.name, r.range_from, r.range_to, r.started_at, r.finished_at,
       r.windows, r.complete, r.records, r.calls, r.outcome, r.error,
       r.seen_at, r.windows_planned, r.windows_done, r.records_done, r.calls_done, r.refused_done, r.clocks
  FROM (
    SELECT *
      FROM runs
     WHERE outcome = 'running' AND seen_at >= @seen_since
     -- Each half uses an index. The same conditions with OR would scan all runs.
     UNION
   (SELECT *
      FROM runs
     ORDER BY run_id DESC
     LIMIT @most) -- numbers have gaps
  ) AS r
  LEFT JOIN source_notes s USING (source_id)
 ORDER BY r.run_id DESC
