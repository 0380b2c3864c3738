-- What others could do, or have done, in the schemas of the archive: one row for each,
-- with what to do about it. Others are all roles but those that can become this role, such
-- as superusers, and the owner of the archive. A role that has this one as a member is
-- another one too: it may have more members. Who writes must be the owner of the archive
-- or its member.
WITH schemas AS (
    SELECT oid, nspname, nspowner, COALESCE(nspacl, acldefault('n', nspowner)) AS acl
      FROM pg_namespace
     WHERE nspname IN (@people, @internal, @days)
),
selves AS (
    SELECT r.oid
      FROM pg_roles r
     CROSS JOIN pg_roles me
     WHERE me.rolname = current_user
       AND (pg_has_role(r.oid, me.oid, 'MEMBER')
            -- Up to PostgreSQL 15, such a role can make itself a member.
            OR r.rolcreaterole AND NOT me.rolsuper AND current_setting('server_version_num')::integer < 160000
            OR r.oid = (SELECT nspowner FROM schemas WHERE nspname = @internal)
            -- An administrator may have made the schemas for the owner of the archive.
            OR @reads AND r.oid = (
                SELECT c.relowner
                  FROM pg_class c
                  JOIN schemas s ON s.oid = c.relnamespace
                 WHERE s.nspname = @internal AND c.relname = 'windows')
            -- Who reads where no archive is yet is told so.
            OR @reads AND r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database())
               AND NOT EXISTS (SELECT FROM schemas WHERE nspname = @internal))
),
trusted AS (
    SELECT oid FROM selves
     UNION
    SELECT r.oid
      FROM pg_roles r
     WHERE r.rolname = 'pg_database_owner'
       AND (SELECT datdba FROM pg_database WHERE datname = current_database()) IN (SELECT oid FROM selves)
),
-- What the archive has made, if its name says so in the schema that people query.
ours AS (
    SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, s.nspname
      FROM pg_class c
      JOIN schemas s ON s.oid = c.relnamespace
     WHERE c.relkind NOT IN ('i', 'I', 't')
       AND (s.nspname <> @people
            OR c.relname IN ('functions', 'function_aliases', 'invocations', 'rejected_records', 'runs', 'source_lists'))
)
SELECT format('the archive belongs to the role %I: connect as this role, or run %s', pg_get_userbyid(nspowner),
              string_agg(format('ALTER SCHEMA %I OWNER TO %I', nspname, current_user), '; '))
  FROM schemas
  JOIN pg_roles me ON me.rolname = current_user
 WHERE nspname <> @people
   AND NOT (nspowner IN (SELECT oid FROM trusted)
            AND (@reads OR nspowner = me.oid
                 -- A superuser counts as a member of all.
                 OR NOT me.rolsuper AND pg_has_role(nspowner, 'USAGE')
                 OR (SELECT rolsuper FROM pg_roles WHERE oid = nspowner)
                 OR nspowner = (SELECT datdba FROM pg_database WHERE datname = current_database())))
 GROUP BY nspowner
UNION ALL
SELECT format('the schema %I belongs to the role %I, which may create objects in it: ALTER SCHEMA %1$I OWNER TO %3$I', nspname,
              pg_get_userbyid(CASE pg_get_userbyid(nspowner)
                              WHEN 'pg_database_owner' THEN (SELECT datdba FROM pg_database WHERE datname = current_database())
                              ELSE nspowner END),
              current_user)
  FROM schemas
 WHERE nspname = @people AND nspowner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT format('others may create objects in the schema %I: REVOKE CREATE ON SCHEMA %1$I FROM %s', nspname,
              string_agg(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, ', '))
  FROM (
    SELECT DISTINCT s.nspname, a.grantee
      FROM schemas s
     CROSS JOIN aclexplode(s.acl) AS a
     WHERE a.privilege_type = 'CREATE' AND a.grantee <> s.nspowner AND a.grantee NOT IN (SELECT oid FROM trusted)
     ORDER BY 1, 2) AS may
 GROUP BY nspname
UNION ALL
-- A function is met in place of PostgreSQL's own if it has the same name and fits the
-- types better. It may have been made before others lost the privilege.
SELECT format('the role %I has made a %s that statements could meet: DROP %s %s', pg_get_userbyid(p.proowner),
              lower(kind), kind, p.oid::regprocedure)
  FROM pg_proc p
  JOIN schemas s ON s.oid = p.pronamespace
 CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'a' THEN 'AGGREGATE' WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind) AS k
 WHERE p.proowner NOT IN (SELECT oid FROM trusted)
   AND (s.nspname <> @people
        OR p.proname LIKE 'histogram%'
        OR EXISTS (
            SELECT
              FROM pg_proc o
             WHERE o.proname = p.proname
               AND (o.pronamespace = 'pg_catalog'::regnamespace OR o.pronamespace IN (SELECT oid FROM schemas WHERE nspname = @internal))))
UNION ALL
SELECT format('the role %I has made an operator that statements could meet: DROP OPERATOR %s', pg_get_userbyid(p.oprowner), p.oid::regoperator)
  FROM pg_operator p
  JOIN schemas s ON s.oid = p.oprnamespace
 WHERE p.oprowner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT format('the role %I owns %s, which has the name of a table of the archive: ALTER TABLE %2$s OWNER TO %3$I',
              pg_get_userbyid(relowner), oid::regclass, current_user)
  FROM ours
 WHERE relowner NOT IN (SELECT oid FROM trusted)
UNION ALL
-- A trigger's function runs as who writes the row.
SELECT format('others may make triggers on tables of the archive: REVOKE TRIGGER ON %s FROM %s', tables,
              string_agg(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, ', '))
  FROM (
    SELECT DISTINCT CASE o.nspname WHEN @people THEN o.oid::regclass::text ELSE format('ALL TABLES IN SCHEMA %I', o.nspname) END AS tables,
           a.grantee
      FROM ours o
     CROSS JOIN aclexplode(o.relacl) AS a
     WHERE a.privilege_type = 'TRIGGER' AND a.grantee <> o.relowner AND a.grantee NOT IN (SELECT oid FROM trusted)
     ORDER BY 1, 2) AS may
 GROUP BY tables
UNION ALL
SELECT format('a trigger calls what the role %I has made: DROP TRIGGER %I ON %s', pg_get_userbyid(p.proowner), t.tgname, o.oid::regclass)
  FROM pg_trigger t
  JOIN ours o ON o.oid = t.tgrelid
  JOIN pg_proc p ON p.oid = t.tgfoid
 WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND p.proowner NOT IN (SELECT oid FROM trusted)
UNION ALL
-- What is made next would be open to others.
SELECT format('others may make triggers or objects in what the archive makes: ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s FROM %s',
              pg_get_userbyid(d.defaclrole), ' IN SCHEMA ' || quote_ident(n.nspname), what.granted,
              string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, ', '))
  FROM pg_default_acl d
  JOIN (VALUES ('r', 'TRIGGER', 'TRIGGER ON TABLES'), ('n', 'CREATE', 'CREATE ON SCHEMAS')) AS what (kind, privilege, granted)
    ON what.kind = d.defaclobjtype::text
  LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
 CROSS JOIN aclexplode(d.defaclacl) AS a
 WHERE a.privilege_type = what.privilege AND a.grantee <> d.defaclrole AND a.grantee NOT IN (SELECT oid FROM trusted)
   AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
   AND (n.nspname IS NULL OR n.nspname IN (@people, @internal, @days))
 GROUP BY d.defaclrole, n.nspname, what.granted;
