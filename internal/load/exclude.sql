-- Notes which functions of its account the source of a pass reads. Of the others it leaves
-- out those that it has read so far.
UPDATE functions f
   SET source_id = r.source_id,
       excluded_since = CASE WHEN f.function_id <> ALL (@read::integer[]) THEN @at::timestamptz END
  FROM runs r
 WHERE r.run_id = @run
   AND CASE WHEN f.function_id = ANY (@read) THEN f.excluded_since IS NOT NULL OR f.source_id IS DISTINCT FROM r.source_id
            ELSE f.excluded_since IS NULL AND f.source_id = r.source_id
                 AND (f.function_id = ANY (@excluded::integer[]) OR f.latest_id IS NOT NULL AND NOT @versions::boolean) END
