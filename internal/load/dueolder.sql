-- Counts the open windows before the range, and finds the first one, all by the index
-- windows_open.
SELECT function_id, count(*)::integer, min(window_start)
  FROM archiver_internal.windows
 WHERE function_id = ANY (@functions::integer[]) AND window_start < @from
   AND planned AND state NOT IN ('complete', 'gone')
 GROUP BY function_id
