-- Functions with planned windows that have not ended, or, if a run was under way in the
-- future, with windows that were completed in the future. Without such a run, no window
-- that has ended is looked up.
SELECT function_id
  FROM functions f
 WHERE provider = @provider AND region = @region AND project_id = @project
   AND (EXISTS (
        SELECT
          FROM windows w
         WHERE w.function_id = f.function_id AND w.window_start > @now::timestamptz - interval '1 hour' AND planned OFFSET 0)
     OR (SELECT EXISTS (SELECT FROM runs WHERE GREATEST(started_at, seen_at, finished_at) > @now))
        AND EXISTS (
        SELECT
          FROM windows w
         WHERE w.function_id = f.function_id AND w.completed_at > @late::timestamptz
           AND (state = 'complete' AND (verified_at IS NULL OR verified_at > @late)
                OR state = 'expired' AND acknowledged_at IS NULL) OFFSET 0))
