WITH leaves AS (
    SELECT sum(c.reltuples) FILTER (WHERE c.reltuples > 0) AS rows
      FROM pg_partition_tree('invocations') t
      JOIN pg_class c ON c.oid = t.relid
     WHERE t.isleaf
)
SELECT COALESCE(leaves.rows > 0 AND (leaves.rows > 2 * p.reltuples AND p.reltuples > 0 OR NOT EXISTS (
        SELECT FROM pg_stats WHERE schemaname = n.nspname AND tablename = 'invocations' AND inherited)), false)
  FROM leaves, pg_class p
  JOIN pg_namespace n ON n.oid = p.relnamespace
 WHERE p.oid = 'invocations'::regclass
