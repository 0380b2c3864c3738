-- Counts the hours of the range that are to be read, and finds the first one. A window
-- is decided if it is complete, or if it is gone and so is its function. Hours are
-- looked up in windows only if window_days counts some decided windows of the day, and
-- not 24.
SELECT id, count(*)::integer, min(hour)
  FROM unnest(@functions::integer[]) AS id
  LEFT JOIN functions f ON f.function_id = id
 CROSS JOIN generate_series(date_trunc('day', @from::timestamptz, 'UTC'), @to::timestamptz - interval '1 hour', interval '24 hours') AS day
  LEFT JOIN archiver_internal.window_days d
    ON d.function_id = id AND d.day = day.day AND d.day >= date_trunc('day', @from, 'UTC') AND d.day < @to
 CROSS JOIN LATERAL (
    SELECT COALESCE(d.complete + CASE WHEN f.gone_at IS NULL THEN 0 ELSE d.gone END, 0) AS decided) AS of_day
 CROSS JOIN LATERAL generate_series(GREATEST(day.day, @from), LEAST(day.day + interval '24 hours', @to) - interval '1 hour', interval '1 hour') AS hour
 WHERE decided < 24 AND (decided = 0 OR NOT EXISTS (
    SELECT
      FROM archiver_internal.windows w
     WHERE w.function_id = id AND w.window_start = hour
       AND (w.state = 'complete' OR w.state = 'gone' AND f.gone_at IS NOT NULL) OFFSET 0)) -- look each one up
 GROUP BY id
