WITH taken AS (
    DELETE FROM hourly_figures_due
     WHERE window_start >= @from AND window_start < @to
    RETURNING function_id, window_start
), noted AS (
    SELECT DISTINCT function_id, window_start
      FROM taken
), frozen AS MATERIALIZED (
    -- Functions and days whose figures retention has frozen.
    SELECT function_id, day
      FROM daily_figures
     WHERE day >= (@from::timestamptz AT TIME ZONE 'UTC')::date AND day < (@to::timestamptz AT TIME ZONE 'UTC')::date
       AND complete_hours IS NOT NULL
), counted AS (
    -- Mostly no figure is frozen, and then no row is read.
    SELECT function_id, window_start, count(*) AS records
      FROM (
        SELECT function_id, date_trunc('hour', start_time, 'UTC') AS window_start
          FROM invocations_dated
         WHERE start_time >= @from AND start_time < @to
         UNION ALL
        SELECT function_id, queried_window
          FROM invocations_undated
         WHERE queried_window >= @from AND queried_window < @to
         UNION ALL
        SELECT function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC')
          FROM invocations_in_flight
         WHERE COALESCE(start_time, queried_window) >= @from AND COALESCE(start_time, queried_window) < @to) AS r
     WHERE (SELECT count(*) FROM frozen) > 0
     GROUP BY function_id, window_start
)
SELECT n.function_id, n.window_start
  FROM noted n
  LEFT JOIN hourly_figures h
    ON h.function_id = n.function_id AND h.window_start = n.window_start
   AND h.window_start >= @from AND h.window_start < @to
  LEFT JOIN counted c ON c.function_id = n.function_id AND c.window_start = n.window_start
 -- A frozen hour is counted again only if it has at least as many records as before.
 WHERE (n.function_id, (n.window_start AT TIME ZONE 'UTC')::date) NOT IN (SELECT function_id, day FROM frozen)
    OR COALESCE(c.records, 0) >= COALESCE(h.records, 0)
 ORDER BY n.window_start, n.function_id
