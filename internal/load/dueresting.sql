-- Functions without a hole that have been empty for long are left alone for an eighth
-- of that time. read/functions.sql has the same rule.
WITH looked_up AS MATERIALIZED ( -- each time once
    SELECT function_id, complete, expired, complete_from, complete_to, expired_from, expired_to, recorded_to
      FROM window_totals
     WHERE function_id = ANY (@functions::integer[]) AND complete > 0 AND open = 0
), whole AS (
    SELECT *, LEAST(complete_from, expired_from) AS decided_from, GREATEST(complete_to, expired_to) AS decided_to
      FROM looked_up
)
SELECT function_id
  FROM whole
 WHERE @from >= decided_from AND EXTRACT(EPOCH FROM decided_to - decided_from)::integer / 3600 = complete + expired
   AND @to::timestamptz - decided_to < LEAST(@rest_at_most::interval, (decided_to - COALESCE(recorded_to, complete_from)) / 8)
