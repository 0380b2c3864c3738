-- Counts the open windows before the range, and finds the first one. Windows are
-- counted only in the day that the range cuts.
WITH older AS (
    SELECT function_id, sum(CASE WHEN day + interval '24 hours' <= @from THEN windows - complete - gone ELSE (
        SELECT count(*)
          FROM archiver_internal.windows w
         WHERE w.function_id = d.function_id AND w.window_start >= day AND w.window_start < @from
           AND w.planned AND w.state NOT IN ('complete', 'gone')) END)::integer AS open
      FROM archiver_internal.window_days d
     WHERE function_id = ANY (@functions::integer[]) AND day < @from::timestamptz AND windows > complete + gone
     GROUP BY function_id
)
SELECT function_id, open, (
    SELECT min(window_start)
      FROM archiver_internal.windows w
     WHERE w.function_id = older.function_id AND w.window_start < @from
       AND w.planned AND w.state NOT IN ('complete', 'gone'))
  FROM older
 WHERE open > 0
