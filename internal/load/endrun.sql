UPDATE runs
   SET finished_at = @at, seen_at = @at, outcome = @outcome, error = @error,
       windows = @windows::bigint, windows_planned = @windows::bigint, windows_done = @done, complete = @complete,
       records = @records, records_done = @records, inserted = @inserted, rejected = @rejected,
       calls = @calls, calls_done = @calls, refused_done = @refused, clocks = @clocks
 WHERE run_id = @run AND started_at = @began
