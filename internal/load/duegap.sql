-- Hours that no run has planned because run and once did not plan anything for longer than
-- the source keeps records: from the end of the last planned window of each function up to
-- @forgotten. If some function was planned since, the others had no windows for a reason
-- of their own, for example because they were not listed. A function that rests may have
-- been planned up to @rest_at_most earlier.
WITH planned AS MATERIALIZED (
    SELECT id, until, (SELECT max(day) FROM window_days WHERE function_id = id AND windows > 0) AS last_day
      FROM unnest(@functions::integer[], @until::timestamptz[]) AS f (id, until)
), ends AS MATERIALIZED (
    SELECT id, LEAST(until, @forgotten::timestamptz) AS gap_to, (
        SELECT max(window_start) + interval '1 hour'
          FROM windows
         WHERE function_id = id AND window_start >= last_day AND planned) AS gap_from
      FROM planned
     WHERE (SELECT max(last_day) FROM planned) < @forgotten -- else no window is looked up
), stopped AS (
    SELECT max(gap_from) AS at FROM ends
)
SELECT id, GREATEST(gap_from, @forgotten - interval '366 days') AS gap_from, gap_to
  FROM ends, stopped
 WHERE gap_from < gap_to AND gap_from >= at - @rest_at_most::interval
   -- Where only backfill has filled the archive, no hour after it was due.
   AND EXISTS (SELECT FROM runs WHERE asked_by IN ('run', 'once') AND range_from <= at AND range_to >= at)
