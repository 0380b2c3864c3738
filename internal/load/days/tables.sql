-- Tables of days and months that are attached to invocations_dated, or that retention closed.
SELECT c.relname, i.inhrelid IS NOT NULL AS attached,
       -- Before PostgreSQL 14 there is no inhdetachpending, and no DETACH is pending.
       COALESCE((to_jsonb(i) ->> 'inhdetachpending')::boolean, false) AS pending,
       k.conrelid IS NOT NULL AS closed, c.oid
  FROM pg_class c
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'invocations_dated'::regclass
  LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = 'closed_by_retention'
 WHERE c.relkind = 'r' AND (i.inhrelid IS NOT NULL OR k.conrelid IS NOT NULL)
   AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'invocations_dated'::regclass)
