-- Functions with records in flight that are to be asked for again. OFFSET 0 makes
-- PostgreSQL look each function up in an index. No record is to be asked for later than its
-- longest life: a clock that was ahead has written such a time.
SELECT id
  FROM unnest(@functions::integer[]) AS id
 WHERE EXISTS (
    SELECT
      FROM windows
     WHERE function_id = id AND (recheck_at <= @now OR recheck_at > @now::timestamptz + @max_life + interval '1 day')
       AND window_start >= @from AND window_start < @to OFFSET 0)
