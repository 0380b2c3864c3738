SELECT request_id
  FROM archiver_days.invocations_dated
 WHERE function_id = @function
   AND start_time BETWEEN @from::timestamptz - interval '1 second' AND @to::timestamptz + interval '1 second'
UNION ALL
SELECT request_id FROM archiver_days.invocations_undated WHERE function_id = @function
UNION ALL
SELECT request_id FROM archiver_days.invocations_in_flight WHERE function_id = @function
