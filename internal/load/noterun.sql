UPDATE runs
   SET outcome = 'running', finished_at = NULL, error = NULL, owner = @owner, -- another process may have thought it dead
       seen_at = @at, windows_planned = @windows, windows_done = @done,
       records_done = @records, calls_done = @calls, refused_done = @refused, clocks = @clocks
 WHERE run_id = @run AND started_at = @began
