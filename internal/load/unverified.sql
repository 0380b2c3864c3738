-- If one window was completed by @due, all windows that were completed by @with are
-- verified together.
SELECT window_start
  FROM windows
 WHERE function_id = @function AND window_start >= @from AND state = 'complete'
   AND verified_at IS NULL AND completed_at <= @with AND EXISTS (
    SELECT FROM windows
     WHERE function_id = @function AND window_start >= @from AND state = 'complete'
       AND verified_at IS NULL AND completed_at <= @due)
 ORDER BY window_start
