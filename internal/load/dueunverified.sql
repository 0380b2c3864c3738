-- Functions with a complete window whose count is to be compared with the source's.
-- OFFSET 0 makes PostgreSQL look each function up in an index.
SELECT id
  FROM unnest(@functions::integer[]) AS id
 WHERE EXISTS (
    SELECT
      FROM windows
     WHERE function_id = id AND window_start >= @from AND state = 'complete'
       AND verified_at IS NULL AND completed_at <= @completed_by OFFSET 0)
