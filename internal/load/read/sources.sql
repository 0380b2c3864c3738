SELECT s.source_id, s.name, s.provider, s.region, s.project_id, s.first_seen, s.last_seen,
       success.finished_at, s.last_outcome, s.last_error, s.failing_since, s.failed_passes,
       s.next_attempt_at, s.pass_every, s.due_by, s.source_retention,
       s.ignored_at, s.ignored_by, s.ignored_reason,
       EXISTS (SELECT FROM runs r WHERE r.outcome = 'running' AND r.source_id = s.source_id AND r.seen_at >= @seen_since)
  FROM sources s
  -- A pass whose clock was ahead must not hide that later ones fail.
  LEFT JOIN LATERAL (
    SELECT finished_at
      FROM runs
     WHERE source_id = s.source_id AND outcome = 'complete' AND asked_by IN ('run', 'once')
       AND finished_at <= @now::timestamptz + interval '1 hour'
     ORDER BY run_id DESC
     LIMIT 1) AS success ON true
 ORDER BY s.name
