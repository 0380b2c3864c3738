-- The complete windows from the first one on that was completed by @soon and is not
-- verified. Those that were completed by @with are verified with it.
SELECT window_start, records + rejected, verified_at IS NULL AND completed_at <= @with
  FROM windows
 WHERE function_id = @function AND state = 'complete' AND window_start >= (
    SELECT min(window_start)
      FROM windows
     WHERE function_id = @function AND window_start >= @from AND state = 'complete'
       AND verified_at IS NULL AND completed_at <= @soon)
 ORDER BY window_start
