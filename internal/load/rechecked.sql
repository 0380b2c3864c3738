WITH life AS (
    -- When the longest possible life of the window's records ends.
    SELECT w.window_start,
           GREATEST(w.window_start + interval '1 hour', max(i.first_archived_at)) + @max_life::interval AS ends
      FROM windows w
      LEFT JOIN invocations_in_flight i
        ON i.function_id = w.function_id
       AND date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC') = w.window_start
     WHERE w.function_id = @function AND w.window_start = ANY (@windows)
     GROUP BY w.window_start
), rechecked AS (
UPDATE windows w
   SET rechecks = rechecks + 1,
       recheck_at = CASE
           WHEN pending = 0 OR life.ends <= @at THEN NULL
           ELSE LEAST(@at + @first_recheck::interval * (1 << LEAST(rechecks + 1, 10)), life.ends) END
  FROM life
 WHERE w.function_id = @function AND w.window_start = life.window_start
RETURNING w.pending, w.recheck_at
)
SELECT COALESCE(sum(pending), 0) FROM rechecked WHERE recheck_at IS NULL
