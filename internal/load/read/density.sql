-- How many complete hours and records the archive has of each function.
SELECT function_id, sum(complete)::bigint, sum(records)::bigint
  FROM window_days
 WHERE function_id = ANY (@functions::integer[])
 GROUP BY 1
