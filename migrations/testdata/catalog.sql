-- All that the migrations made, a row a thing: its name, and what it is. OIDs
-- are left out, so that two databases of one schema have the same rows.
WITH rel AS (
    SELECT c.*, c.oid::regclass::text AS name
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
), privileges AS (
    SELECT oid, string_agg(grantee || ' ' || privilege_type, ', ' ORDER BY grantee, privilege_type) AS granted
      FROM (
        SELECT o.oid, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee, a.privilege_type
          FROM (SELECT oid, relacl, relowner FROM pg_class UNION ALL
                SELECT oid, proacl, proowner FROM pg_proc UNION ALL
                SELECT oid, nspacl, nspowner FROM pg_namespace) AS o (oid, acl, owner)
         CROSS JOIN aclexplode(o.acl) AS a
         WHERE a.grantee <> o.owner) AS p
     GROUP BY oid
)
SELECT 'schema ' || nspname,
       concat_ws(E'\n', 'privileges: ' || granted, 'comment: ' || obj_description(n.oid, 'pg_namespace'))
  FROM pg_namespace n
  LEFT JOIN privileges USING (oid)
 WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
UNION ALL
SELECT 'relation ' || name,
       concat_ws(E'\n', 'kind: ' || relkind::text || relpersistence::text,
                 'partition of: ' || (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = rel.oid AND relkind IN ('r', 'p'))
                                  || ' ' || pg_get_expr(relpartbound, oid),
                 'partitioned: ' || pg_get_partkeydef(oid),
                 'options: ' || array_to_string(reloptions, ', '),
                 'privileges: ' || granted,
                 'definition: ' || CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(oid) END,
                 'comment: ' || obj_description(oid, 'pg_class'))
  FROM rel
  LEFT JOIN privileges USING (oid)
UNION ALL
SELECT 'column ' || name || '.' || attname,
       concat_ws(E'\n', 'number: ' || rank() OVER (PARTITION BY attrelid ORDER BY attnum),
                 'type: ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END,
                 'collation: ' || NULLIF(attcollation, 0)::regcollation,
                 'default: ' || pg_get_expr(adbin, adrelid),
                 'identity: ' || NULLIF(attidentity::text, ''),
                 'storage: ' || attstorage::text || attcompression::text,
                 'comment: ' || col_description(attrelid, attnum))
  FROM rel
  JOIN pg_attribute a ON a.attrelid = rel.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND adnum = attnum
 WHERE relkind IN ('r', 'p', 'v')
UNION ALL
SELECT 'constraint ' || conname || ' of ' || name, pg_get_constraintdef(c.oid)
  FROM rel
  JOIN pg_constraint c ON c.conrelid = rel.oid
UNION ALL
SELECT 'trigger ' || tgname || ' of ' || name, tgenabled::text || ' ' || pg_get_triggerdef(t.oid)
  FROM rel
  JOIN pg_trigger t ON t.tgrelid = rel.oid AND NOT tgisinternal
UNION ALL
SELECT 'function ' || p.oid::regprocedure,
       concat_ws(E'\n', CASE WHEN prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
                 'aggregate: ' || (SELECT concat_ws(' ', aggtransfn, aggcombinefn, aggfinalfn, aggtranstype::regtype, agginitval)
                                     FROM pg_aggregate WHERE aggfnoid = p.oid),
                 'parallel: ' || proparallel::text,
                 'privileges: ' || granted,
                 'comment: ' || obj_description(p.oid, 'pg_proc'))
  FROM pg_proc p
  LEFT JOIN privileges USING (oid)
 WHERE pronamespace IN (SELECT relnamespace FROM rel WHERE relkind = 'r')
   AND pronamespace NOT IN ('pg_catalog'::regnamespace)
UNION ALL
SELECT 'type ' || t.oid::regtype, typtype::text
  FROM pg_type t
 WHERE typnamespace IN (SELECT relnamespace FROM rel) AND typtype NOT IN ('b', 'c')
