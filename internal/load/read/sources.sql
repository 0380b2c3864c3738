SELECT s.source_id, s.name, s.provider, s.region, s.project_id, s.first_seen, s.last_seen,
       success.finished_at, s.last_outcome, s.last_error, s.failing_since, s.failed_passes,
       s.next_attempt_at, s.pass_every, 
       -- After a pass that has lasted longer than the next one was due, passes come again.
       CASE WHEN ended.finished_at > s.next_attempt_at THEN GREATEST(s.due_by, ended.finished_at + 2 * s.pass_every + interval '15 minutes') ELSE s.due_by END,
       s.source_retention,
       s.ignored_at, s.ignored_by, s.ignored_reason,
       EXISTS (SELECT FROM runs r
                WHERE r.outcome = 'running' AND r.source_id = s.source_id AND r.asked_by IN ('run', 'once')
                  AND r.seen_at BETWEEN @seen_since AND @now::timestamptz + interval '1 minute')
  FROM sources s
  -- A pass whose clock was ahead must not hide that later ones fail.
  LEFT JOIN LATERAL (
    SELECT finished_at
      FROM runs
     WHERE source_id = s.source_id AND outcome = 'complete' AND asked_by IN ('run', 'once')
       AND finished_at <= @now::timestamptz + interval '1 hour'
     ORDER BY run_id DESC
     LIMIT 1) AS success ON true
  LEFT JOIN LATERAL (
    SELECT finished_at
      FROM runs
     WHERE source_id = s.source_id AND asked_by IN ('run', 'once')
     ORDER BY run_id DESC
     LIMIT 1) AS ended ON true
 ORDER BY s.name
