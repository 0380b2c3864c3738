-- What the archive holds of windows. begunwindows.sql counts records without a start in the
-- same way.
SELECT window_start, records + rejected, CASE WHEN records = 0 THEN 0 ELSE (
        SELECT count(*)
          FROM invocations_undated
         WHERE function_id = @function AND queried_window = w.window_start) + (
        SELECT count(*)
          FROM invocations_in_flight
         WHERE function_id = @function AND start_time IS NULL AND queried_window = w.window_start) END
  FROM windows w
 WHERE function_id = @function AND window_start = ANY (@windows)
