WITH counted AS (
    SELECT date_trunc('hour', COALESCE(start_time, queried_window), 'UTC') AS window_start,
           count(*) AS records,
           count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS pending
      FROM invocations
     WHERE function_id = @function
       AND (start_time >= @from AND start_time < @to
            OR start_time IS NULL AND queried_window >= @from AND queried_window < @to)
     GROUP BY 1
)
UPDATE windows w
   SET records = COALESCE(c.records, 0), pending = COALESCE(c.pending, 0)
  -- A second time, because UPDATE cannot join the updated table to counted by LEFT JOIN.
  FROM windows o
  LEFT JOIN counted c USING (window_start)
 WHERE w.function_id = @function AND w.window_start >= @from AND w.window_start < @to
   AND o.function_id = w.function_id AND o.window_start = w.window_start
   AND (w.records, w.pending) IS DISTINCT FROM (COALESCE(c.records, 0), COALESCE(c.pending, 0))
