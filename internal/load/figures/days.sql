INSERT INTO daily_figures (
    function_id, day, records, success, fail, discard, in_flight, other,
    timed, total_seconds, max_seconds, histogram)
SELECT f.function_id, f.day, COALESCE(sum(h.records), 0),
       COALESCE(sum(h.success), 0), COALESCE(sum(h.fail), 0), COALESCE(sum(h.discard), 0),
       COALESCE(sum(h.in_flight), 0), COALESCE(sum(h.other), 0), COALESCE(sum(h.timed), 0),
       COALESCE(sum(h.total_seconds), 0), max(h.max_seconds), histogram_sum(h.histogram)::integer[]
  FROM (
    SELECT DISTINCT function_id, (window_start AT TIME ZONE 'UTC')::date AS day
      FROM unnest(@functions::integer[], @windows::timestamptz[]) AS n (function_id, window_start)) AS f
  LEFT JOIN hourly_figures h
    ON h.function_id = f.function_id AND (h.window_start AT TIME ZONE 'UTC')::date = f.day
   AND h.window_start >= @from AND h.window_start < @to
 GROUP BY f.function_id, f.day
    ON CONFLICT (function_id, day) DO UPDATE
   SET records = EXCLUDED.records, success = EXCLUDED.success, fail = EXCLUDED.fail,
       discard = EXCLUDED.discard, in_flight = EXCLUDED.in_flight, other = EXCLUDED.other,
       timed = EXCLUDED.timed, total_seconds = EXCLUDED.total_seconds, max_seconds = EXCLUDED.max_seconds,
       histogram = EXCLUDED.histogram
