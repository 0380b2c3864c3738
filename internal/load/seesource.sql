-- Notes that a run of a source begins. While it is not known to which project the source
-- belongs, its name is its key.
WITH named AS (
    SELECT provider, region, project_id
      FROM source_notes
     WHERE @project::text = '' AND name = @name::text AND provider = @provider::text AND @region::text IN ('', region)
     ORDER BY last_seen DESC
     LIMIT 1
), key AS (
    SELECT * FROM named
     UNION ALL
    SELECT @provider::text, @region::text, @project::text WHERE NOT EXISTS (SELECT FROM named)
), timetable AS (
    -- With a schedule, the next two ticks. Without one, passes come as the last ones came:
    -- at the median of the last gaps, and at most every hour.
    SELECT CASE WHEN @later::timestamptz IS NOT NULL THEN GREATEST(@tick::timestamptz - @at::timestamptz, @later::timestamptz - @tick::timestamptz)
                ELSE GREATEST(median, interval '1 hour') END AS every,
           COALESCE(@tick::timestamptz, @at::timestamptz + GREATEST(median, interval '1 hour')) AS next,
           CASE WHEN @later::timestamptz IS NOT NULL THEN @later::timestamptz + LEAST((@later::timestamptz - @tick::timestamptz) / 2, interval '15 minutes')
                ELSE @at::timestamptz + 2 * GREATEST(median, interval '1 hour') + interval '15 minutes' END AS due_by
      FROM (
        SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY gap) AS median
          FROM (
            SELECT started_at - lag(started_at) OVER (ORDER BY started_at) AS gap
              FROM (
               (SELECT r.started_at
                  FROM runs r
                  JOIN source_notes s USING (source_id)
                  JOIN key k USING (provider, region, project_id)
                 WHERE s.name = @name::text AND r.asked_by IN ('run', 'once')
                 ORDER BY r.run_id DESC
                 LIMIT 5)
                 UNION ALL
                SELECT @at::timestamptz) AS began) AS gaps) AS passes
     WHERE @pass::boolean
)
INSERT INTO source_notes AS s (name, provider, region, project_id, first_seen, last_seen, source_retention, pass_every, next_attempt_at, due_by)
SELECT @name::text, k.provider, k.region, k.project_id, @at::timestamptz, @at::timestamptz, NULLIF(@retention::interval, interval '0'), t.every, t.next, t.due_by
  FROM key k
  LEFT JOIN timetable t ON true
    ON CONFLICT (provider, region, project_id, name) DO UPDATE
   SET last_seen = EXCLUDED.last_seen,
       source_retention = COALESCE(EXCLUDED.source_retention, s.source_retention),
       -- A pass by hand does not change when the others come.
       pass_every = CASE WHEN @tick::timestamptz IS NULL AND s.next_attempt_at > @at::timestamptz AND s.next_attempt_at <= @at::timestamptz + s.pass_every THEN s.pass_every ELSE COALESCE(EXCLUDED.pass_every, s.pass_every) END,
       next_attempt_at = CASE WHEN @tick::timestamptz IS NULL AND s.next_attempt_at > @at::timestamptz AND s.next_attempt_at <= @at::timestamptz + s.pass_every THEN s.next_attempt_at ELSE COALESCE(EXCLUDED.next_attempt_at, s.next_attempt_at) END,
       ignored_at = CASE WHEN NOT @pass THEN s.ignored_at END,
       ignored_by = CASE WHEN NOT @pass THEN s.ignored_by END,
       ignored_reason = CASE WHEN NOT @pass THEN s.ignored_reason END,
       due_by = CASE WHEN @tick::timestamptz IS NULL AND s.next_attempt_at > @at::timestamptz AND s.next_attempt_at <= @at::timestamptz + s.pass_every THEN s.due_by ELSE COALESCE(EXCLUDED.due_by, s.due_by) END
RETURNING source_id
