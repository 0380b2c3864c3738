-- complete_hours marks the figures of a function and day as frozen. Functions whose
-- hours were complete without records get a row too.
INSERT INTO daily_figures AS f (
    function_id, day, records, success, fail, discard, in_flight, other, complete_hours)
SELECT function_id, (@from::timestamptz AT TIME ZONE 'UTC')::date, 0, 0, 0, 0, 0, 0, sum(complete)
  FROM (
    SELECT function_id, count(*) AS complete
      FROM window_states
     WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions))
       AND window_start >= @from AND window_start < @to AND state = 'complete'
     GROUP BY function_id
     UNION ALL
    SELECT function_id, 0
      FROM daily_figures
     WHERE day = (@from::timestamptz AT TIME ZONE 'UTC')::date) AS c
 GROUP BY function_id
    ON CONFLICT (function_id, day) DO UPDATE
   SET complete_hours = GREATEST(f.complete_hours, EXCLUDED.complete_hours)
