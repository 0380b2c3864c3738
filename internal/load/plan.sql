-- Inserts the hours of the range that have no planned window, up to the time until which
-- a function has windows. Hours are looked up only in days that window_days does not
-- count 24 planned windows of.
INSERT INTO windows AS w (function_id, window_start, planned)
SELECT id, hour, true
  FROM unnest(@functions::integer[], @until::timestamptz[]) AS f (id, until)
 CROSS JOIN generate_series(date_trunc('day', @from::timestamptz, 'UTC'), @to::timestamptz - interval '1 hour', interval '24 hours') AS day
  LEFT JOIN window_days d
    ON d.function_id = id AND d.day = day.day AND d.day >= date_trunc('day', @from, 'UTC') AND d.day < @to
 CROSS JOIN LATERAL generate_series(GREATEST(day.day, @from), LEAST(day.day + interval '24 hours', @to, until) - interval '1 hour', interval '1 hour') AS hour
 WHERE COALESCE(d.windows, 0) < 24 AND NOT EXISTS (
    SELECT
      FROM windows w
     WHERE w.function_id = id AND w.window_start = hour AND w.planned OFFSET 0) -- look each one up
 ORDER BY id, hour
    ON CONFLICT (function_id, window_start) DO UPDATE
   SET planned = true
 WHERE NOT w.planned
