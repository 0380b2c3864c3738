-- How many windows of the functions are complete in a range.
SELECT count(*)
  FROM windows
 WHERE function_id = ANY (@functions::integer[])
   AND window_start >= @from AND window_start < @to
   AND state = 'complete'
