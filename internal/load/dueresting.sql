-- Functions without a hole that have been empty for long are left alone for an eighth
-- of that time. read/functions.sql has the same rule.
WITH whole AS MATERIALIZED (
    SELECT function_id, complete, complete_from, complete_to, recorded_to
      FROM archiver_internal.window_totals
     WHERE function_id = ANY (@functions::integer[]) AND complete > 0 AND open = 0
)
SELECT function_id
  FROM whole
 WHERE @from >= complete_from AND EXTRACT(EPOCH FROM complete_to - complete_from)::integer / 3600 = complete
   AND @to::timestamptz - complete_to < LEAST(@rest_at_most::interval, (complete_to - COALESCE(recorded_to, complete_from)) / 8)
