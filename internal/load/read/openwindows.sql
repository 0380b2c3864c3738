SELECT w.function_id, w.window_start, w.state, w.attempts, w.last_error,
       w.refused_from, w.refused_to, w.retry_at
  FROM unnest(@functions::integer[], @starts::timestamptz[]) AS n (function_id, window_start)
  JOIN windows w USING (function_id, window_start)
 ORDER BY w.window_start, w.function_id
