SELECT request_id
  FROM invocations_dated
 WHERE function_id = @function
   AND start_time BETWEEN @from::timestamptz - interval '1 second' AND @to::timestamptz + interval '1 second'
UNION ALL
SELECT request_id FROM invocations_undated WHERE function_id = @function
UNION ALL
SELECT request_id FROM invocations_in_flight WHERE function_id = @function
