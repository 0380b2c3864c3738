-- Selects the functions that have something to do, the oldest window first.
--
-- A window is decided if it is complete, or if it is gone and so is its function.
-- window_days counts the decided windows of a day. Windows are read only if the range
-- cuts a day of which some windows are decided and some are not.
--
-- OFFSET 0 makes PostgreSQL look each function up in an index of windows. Without it
-- PostgreSQL would hash the whole table.
WITH wanted AS (
    SELECT id AS function_id, f.gone_at IS NOT NULL AS is_gone,
           COALESCE(f.settings_asked_at <= @now::timestamptz - @settings_every::interval
                    OR f.settings_asked_at >= @now::timestamptz + @settings_every::interval, true) AS settings_due
      FROM unnest(@functions::integer[]) AS id
      LEFT JOIN functions f ON f.function_id = id
), days AS (
    -- Each day that the range touches, and how many hours of it the range has.
    SELECT function_id, is_gone, day, GREATEST(day, @from) AS hours_from, LEAST(day + interval '24 hours', @to) AS hours_to,
           EXTRACT(EPOCH FROM LEAST(day + interval '24 hours', @to) - GREATEST(day, @from))::integer / 3600 AS hours,
           CASE WHEN @force THEN 0 ELSE COALESCE(d.complete + CASE WHEN is_gone THEN d.gone ELSE 0 END, 0) END AS decided
      FROM wanted
     CROSS JOIN generate_series(date_trunc('day', @from::timestamptz, 'UTC'), @to::timestamptz - interval '1 hour', interval '24 hours') AS day
      LEFT JOIN (
        SELECT * FROM archiver_internal.window_days WHERE day >= date_trunc('day', @from, 'UTC') AND day < @to) AS d USING (function_id, day)
), missing AS (
    -- How many windows of the range are not decided, and the first day with one.
    SELECT function_id, sum(hours - decided)::integer AS windows, min(day) FILTER (WHERE hours > decided) AS first_day
      FROM (
        SELECT function_id, day, hours,
               CASE WHEN hours = 24 OR decided = 0 THEN decided
                    WHEN decided = 24 THEN hours
                    ELSE (
                        SELECT count(*)
                          FROM archiver_internal.windows w
                         WHERE w.function_id = days.function_id AND w.window_start >= hours_from AND w.window_start < hours_to
                           AND (w.state = 'complete' OR w.state = 'gone' AND is_gone)) END AS decided
          FROM days) AS counted
     GROUP BY function_id
), older AS (
    -- How many windows before the range were begun and are open.
    SELECT function_id, sum(open)::integer AS windows
      FROM (
        SELECT function_id, d.windows - d.complete - d.gone AS open
          FROM wanted
          JOIN archiver_internal.window_days d USING (function_id)
         WHERE @older AND d.windows > d.complete + d.gone AND d.day < date_trunc('day', @from, 'UTC')
        UNION ALL
        SELECT function_id, 1
          FROM wanted
          JOIN archiver_internal.windows w USING (function_id)
         WHERE @older AND w.window_start >= date_trunc('day', @from, 'UTC') AND w.window_start < @from
           AND w.planned AND w.state NOT IN ('complete', 'gone')) AS days
     GROUP BY function_id
), decided_all AS MATERIALIZED (
    SELECT function_id, complete, complete_from, complete_to, recorded_to
      FROM archiver_internal.window_totals
     WHERE @rest AND complete > 0 AND open = 0
), resting AS (
    -- Functions without a hole that have been empty for long are left alone for an
    -- eighth of that time. read/functions.sql has the same rule.
    SELECT function_id
      FROM decided_all
     WHERE @from >= complete_from AND EXTRACT(EPOCH FROM complete_to - complete_from)::integer / 3600 = complete
       AND @to::timestamptz - complete_to < LEAST(@rest_at_most::interval, (complete_to - COALESCE(recorded_to, complete_from)) / 8)
), due AS (
    SELECT function_id, is_gone, settings_due, missing.first_day, COALESCE(older.windows, 0) > 0 AS has_older,
           CASE WHEN @compare OR function_id IN (SELECT function_id FROM resting) THEN 0
                ELSE COALESCE(missing.windows, 0) + COALESCE(older.windows, 0) END AS windows
      FROM wanted
      LEFT JOIN missing USING (function_id)
      LEFT JOIN older USING (function_id)
)
SELECT function_id, windows,
       COALESCE(
           CASE WHEN has_older THEN (
               SELECT min(w.window_start)
                 FROM archiver_internal.windows w
                WHERE w.function_id = due.function_id AND w.window_start < @from
                  AND w.planned AND w.state NOT IN ('complete', 'gone')) END,
           (SELECT min(hour)
              FROM generate_series(GREATEST(first_day, @from), LEAST(first_day + interval '24 hours', @to) - interval '1 hour', interval '1 hour') AS hour
             WHERE first_day IS NOT NULL AND (@force OR NOT EXISTS (
                SELECT
                  FROM archiver_internal.windows w
                 WHERE w.function_id = due.function_id AND w.window_start = hour
                   AND (w.state = 'complete' OR w.state = 'gone' AND is_gone) OFFSET 0))),
           @from) AS oldest,
       settings_due AND windows > 0
  FROM due
 WHERE windows > 0 OR @compare
    OR @follow AND EXISTS (
        SELECT
          FROM archiver_internal.windows w
         WHERE w.function_id = due.function_id AND w.recheck_at <= @now OFFSET 0)
    OR EXISTS (
        SELECT
          FROM archiver_internal.windows w
         WHERE w.function_id = due.function_id AND w.window_start >= @from AND w.state = 'complete'
           AND w.verified_at IS NULL AND w.completed_at <= @verify_completed_by OFFSET 0)
 ORDER BY oldest, windows DESC, function_id
