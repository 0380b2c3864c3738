WITH candidates AS (
    SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages,
           pg_relation_size(c.oid) / current_setting('block_size')::integer AS pages,
           pg_stat_get_mod_since_analyze(c.oid) AS changed
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'invocations_dated'::regclass
     WHERE c.relkind = 'r' AND (i.inhrelid IS NOT NULL OR c.oid = ANY ('{
        functions, windows, invocations_undated, hourly_figures,
        daily_figures, source_figures, hourly_error_codes}'::regclass[]))
), described AS (
    SELECT DISTINCT schemaname, tablename
      FROM pg_stats
     WHERE schemaname IN (SELECT nspname FROM candidates) AND NOT inherited
)
SELECT oid::regclass::text
  FROM candidates
 WHERE pages > 0
   AND ((nspname, relname) NOT IN (SELECT schemaname, tablename FROM described)
        -- The size is exact at once, for tables that grow. The counter of changed rows
        -- also sees updates, some seconds late, and is lost if the server crashes.
        OR pages > 1.1 * relpages
        -- As for autovacuum, fewer than 50 rows are no change.
        OR changed > 50 + 0.1 * reltuples)
 ORDER BY relname
