SELECT EXISTS ( -- the window before the span is complete
        SELECT FROM windows
         WHERE function_id = @function AND window_start = @from::timestamptz - interval '1 hour' AND state = 'complete'),
       EXISTS ( -- the window after the span is complete
        SELECT FROM windows
         WHERE function_id = @function AND window_start = @to AND state = 'complete'),
       -- The records of the span: by its rows, or as its windows count them.
       (SELECT COALESCE(sum(CASE WHEN @by_rows THEN rejected ELSE records + rejected END), 0)
          FROM windows
         WHERE function_id = @function AND window_start >= @from AND window_start < @to)
     + CASE WHEN @by_rows THEN (
        SELECT count(*)
          FROM invocations
         WHERE function_id = @function
           AND (start_time >= @from AND start_time < @to
                OR start_time IS NULL AND queried_window >= @from AND queried_window < @to)) ELSE 0 END,
       -- Counted.Undated
       (SELECT strays FROM functions WHERE function_id = @function) OR EXISTS (
        SELECT FROM invocations_in_flight
         WHERE function_id = @function
           AND COALESCE(start_time, queried_window) >= @from AND COALESCE(start_time, queried_window) < @to) OR EXISTS (
        SELECT FROM invocations_undated
         WHERE function_id = @function AND queried_window >= @from AND queried_window < @to)
