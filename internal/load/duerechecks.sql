-- Functions with records in flight that are to be asked for again. OFFSET 0 makes
-- PostgreSQL look each function up in an index.
SELECT id
  FROM unnest(@functions::integer[]) AS id
 WHERE EXISTS (
    SELECT
      FROM windows
     WHERE function_id = id AND recheck_at <= @now OFFSET 0)
