WITH due_rows AS (
    -- The rows of the hours (@functions, @windows), all of them in [@from, @to). @few
    -- are the functions if they are few, else NULL: see fewFunctions.
    SELECT r.*
      FROM (
        SELECT function_id, date_trunc('hour', start_time, 'UTC') AS window_start, start_time, end_time,
               request_id, status, error_code, error_message
          FROM invocations_dated
         WHERE start_time >= @from AND start_time < @to
           AND (@few::integer[] IS NULL OR function_id = ANY (@few))
         UNION ALL
        SELECT function_id, queried_window, start_time, end_time,
               request_id, status, error_code, error_message
          FROM invocations_undated
         WHERE queried_window >= @from AND queried_window < @to
           AND (@few::integer[] IS NULL OR function_id = ANY (@few))
         UNION ALL
        SELECT function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC'), start_time, end_time,
               request_id, status, error_code, error_message
          FROM invocations_in_flight
         WHERE COALESCE(start_time, queried_window) >= @from AND COALESCE(start_time, queried_window) < @to
           AND (@few::integer[] IS NULL OR function_id = ANY (@few))) AS r
     -- IS TRUE makes PostgreSQL look up each row in a hash of the hours. Without IS
     -- TRUE it may look up the rows of each hour in an index, one hour after the other.
     WHERE ((function_id, window_start) IN (
            SELECT * FROM unnest(@functions::integer[], @windows::timestamptz[]))) IS TRUE
)
