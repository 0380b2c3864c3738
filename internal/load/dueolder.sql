-- Finds the first open window before the range, and counts all of them. Windows are
-- counted only in the day that the range cuts, and days only if there is such a window.
WITH older AS MATERIALIZED (
    SELECT id, (
        SELECT min(window_start)
          FROM archiver_internal.windows
         WHERE function_id = id AND window_start < @from AND planned AND state NOT IN ('complete', 'gone')) AS oldest
      FROM unnest(@functions::integer[]) AS id
)
SELECT id, (
    SELECT sum(CASE WHEN day + interval '24 hours' <= @from THEN windows - complete - gone ELSE (
        SELECT count(*)
          FROM archiver_internal.windows w
         WHERE w.function_id = id AND w.window_start >= day AND w.window_start < @from
           AND w.planned AND w.state NOT IN ('complete', 'gone')) END)::integer
      FROM archiver_internal.window_days
     WHERE function_id = id AND day < @from::timestamptz AND windows > complete + gone), oldest
  FROM older
 WHERE oldest IS NOT NULL
