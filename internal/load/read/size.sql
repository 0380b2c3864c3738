-- A day that is not there has no records. pg_total_relation_size is NULL for a table that is
-- dropped just now.
WITH tables AS (
    SELECT n.nspname = @days AND c.relname IN (
               SELECT 'invocations_' || to_char(day, 'YYYYMMDD')
                 FROM generate_series(@from::timestamptz, @from::timestamptz + interval '6 days', interval '1 day') AS day) AS recent,
           pg_total_relation_size(c.oid) AS bytes
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY (@schemas) AND c.relkind = 'r'
       -- Tables of others may stand in the schema that people browse.
       AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = to_regclass('windows'))
)
SELECT COALESCE(sum(bytes), 0)::bigint, COALESCE(avg(bytes) FILTER (WHERE recent), 0)::bigint
  FROM tables
