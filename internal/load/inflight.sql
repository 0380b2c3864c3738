SELECT i.request_id, w.window_start, i.extra::text
  FROM invocations_in_flight i
  JOIN windows w
    ON w.function_id = i.function_id
   AND w.window_start = date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC')
 WHERE i.function_id = @function AND (w.recheck_at <= @at OR w.recheck_at > @at::timestamptz + @max_life + interval '1 day')
   AND w.window_start >= @from AND w.window_start < @to
 -- Random within a window: if not all are asked for, no record is always the last.
 ORDER BY w.window_start, random()
