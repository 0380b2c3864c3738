-- Finds the open windows before the range: how many are to be read, the first and the last
-- of them, and how many wait. Windows are counted only in the day that the range cuts, and
-- days only if there is such a window.
WITH older AS MATERIALIZED (
    SELECT id, (
        SELECT min(window_start)
          FROM windows
         WHERE function_id = id AND window_start < @from AND planned AND state NOT IN ('complete', 'gone', 'expired')
           AND (retry_at IS NULL OR retry_at <= @waits_after OR retry_at > @waits_after::timestamptz + interval '2 days')) AS oldest, (
        SELECT count(*)
          FROM windows
         WHERE function_id = id AND window_start < @from
           AND retry_at > @waits_after AND retry_at <= @waits_after + interval '2 days') AS waiting
      FROM unnest(@functions::integer[]) AS id
)
SELECT id, CASE WHEN oldest IS NULL THEN 0 ELSE (
    SELECT sum(CASE WHEN day + interval '24 hours' <= @from THEN windows - complete - gone - expired ELSE (
        SELECT count(*)
          FROM windows w
         WHERE w.function_id = id AND w.window_start >= day AND w.window_start < @from
           AND w.planned AND w.state NOT IN ('complete', 'gone', 'expired')) END)::integer
      FROM window_days
     WHERE function_id = id AND day < @from::timestamptz AND windows > complete + gone + expired) - waiting::integer END,
       oldest, (
    SELECT max(window_start)
      FROM windows
     WHERE oldest IS NOT NULL AND function_id = id AND window_start < @from
       AND planned AND state NOT IN ('complete', 'gone', 'expired')
       AND (retry_at IS NULL OR retry_at <= @waits_after OR retry_at > @waits_after::timestamptz + interval '2 days')), waiting::integer
  FROM older
 WHERE oldest IS NOT NULL OR waiting > 0
