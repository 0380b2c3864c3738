-- Counts the hours of the range that are to be read, and those that wait, and finds the
-- first and the last one to be read. A window is decided if it is complete or expired, or
-- if it is gone and so is its function, unless this function is to be asked again. Hours
-- are looked up in windows only if window_days counts some of the day that are decided,
-- failed or short.
SELECT f.id, sum(h.due)::integer, min(h.oldest), max(h.newest), sum(h.waiting)::integer
  FROM unnest(@functions::integer[], @until::timestamptz[], @asked_again::boolean[]) AS f (id, until, asked_again)
  LEFT JOIN functions k ON k.function_id = f.id
 CROSS JOIN generate_series(date_trunc('day', @from::timestamptz, 'UTC'), @to::timestamptz - interval '1 hour', interval '24 hours') AS day
  LEFT JOIN window_days d
    ON d.function_id = f.id AND d.day = day.day AND d.day >= date_trunc('day', @from, 'UTC') AND d.day < @to
 CROSS JOIN LATERAL (
    SELECT k.gone_at IS NOT NULL AND NOT f.asked_again AS gone) AS stays
 CROSS JOIN LATERAL (
    SELECT COALESCE(d.complete + d.expired + CASE WHEN stays.gone THEN d.gone ELSE 0 END, 0) AS decided,
           COALESCE(d.failed + d.short, 0) AS failing,
           GREATEST(day.day, @from) AS since, LEAST(day.day + interval '24 hours', @to, f.until) AS until) AS of_day
 CROSS JOIN LATERAL (
    SELECT EXTRACT(EPOCH FROM of_day.until - since) / 3600 AS due, since AS oldest, of_day.until - interval '1 hour' AS newest, 0 AS waiting
     WHERE decided + failing = 0
     UNION ALL
    SELECT count(*) FILTER (WHERE NOT waits), min(hour) FILTER (WHERE NOT waits), max(hour) FILTER (WHERE NOT waits), count(*) FILTER (WHERE waits)
      FROM generate_series(since, of_day.until - interval '1 hour', interval '1 hour') AS hour
      LEFT JOIN LATERAL (
        SELECT state, retry_at
          FROM windows
         WHERE function_id = f.id AND window_start = hour OFFSET 0) AS w ON true -- look each one up
     CROSS JOIN LATERAL (
        SELECT COALESCE(w.retry_at > @waits_after AND w.retry_at <= @waits_after::timestamptz + interval '2 days', false) AS waits) AS r
     WHERE decided + failing > 0
       AND (w.state IS NULL OR w.state NOT IN ('complete', 'expired') AND NOT (w.state = 'gone' AND stays.gone))) AS h
 WHERE decided < 24 AND since < of_day.until
 GROUP BY f.id
HAVING sum(h.due + h.waiting) > 0
