-- Functions with a complete window whose count is to be compared with the source's. A
-- window that was completed more than a day from now was so by a clock that was ahead,
-- perhaps too early: if the source's clock is not known, it has not been reset. OFFSET 0
-- makes PostgreSQL look each function up in an index.
SELECT id
  FROM unnest(@functions::integer[]) AS id
 WHERE EXISTS (
    SELECT
      FROM windows
     WHERE function_id = id AND window_start >= @from AND state = 'complete' AND verified_at IS NULL
       AND (completed_at <= @completed_by OR window_start < @to AND completed_at > @now::timestamptz + interval '1 day') OFFSET 0)
