SELECT c.relname
  FROM pg_class c
  JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'invocations_dated'::regclass
 WHERE c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'invocations_dated'::regclass)
   AND pg_relation_size(c.oid) > 0 AND pg_has_role(c.relowner, 'USAGE')
   -- Before PostgreSQL 14 there is no inhdetachpending, and no DETACH is pending.
   AND NOT COALESCE((to_jsonb(i) ->> 'inhdetachpending')::boolean, false)
   AND NOT EXISTS (
    SELECT
      FROM pg_index x
      JOIN pg_class b ON b.oid = x.indexrelid
      JOIN pg_am m ON m.oid = b.relam
     WHERE x.indrelid = c.oid AND m.amname = 'brin')
 ORDER BY c.relname
