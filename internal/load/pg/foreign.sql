-- What others could do, or have done, in the schemas of the archive: one row for each,
-- with what to do about it. Others are all roles but superusers, this role, the owner of
-- the database and the owner of the archive. A role that has this one as a member is
-- another one too: it may have more members. Who writes must be the owner of the archive
-- or its member.
WITH schemas AS (
    SELECT oid, nspname, nspowner, COALESCE(nspacl, acldefault('n', nspowner)) AS acl
      FROM pg_namespace
     WHERE nspname IN (@people, @internal, @days)
),
trusted AS (
    SELECT r.oid
      FROM pg_roles r
     CROSS JOIN pg_roles me
     WHERE me.rolname = current_user
       AND (r.rolsuper OR r.rolname IN (current_user, 'pg_database_owner')
            OR r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database())
            OR r.oid = (SELECT nspowner FROM schemas WHERE nspname = @internal)
            -- An administrator may have made the schemas for the owner of the archive.
            OR @reads AND r.oid = (
                SELECT c.relowner
                  FROM pg_class c
                  JOIN schemas s ON s.oid = c.relnamespace
                 WHERE s.nspname = @internal AND c.relname = 'windows'))
)
SELECT format('the archive belongs to the role %I: connect as this role, or run %s', pg_get_userbyid(nspowner),
              string_agg(format('ALTER SCHEMA %I OWNER TO %I', nspname, current_user), '; '))
  FROM schemas
  JOIN pg_roles me ON me.rolname = current_user
 WHERE NOT (nspowner IN (SELECT oid FROM trusted)
            AND (@reads OR nspname = @people OR nspowner = me.oid
                 -- A superuser counts as a member of all.
                 OR NOT me.rolsuper AND pg_has_role(nspowner, 'USAGE')
                 OR (SELECT rolsuper FROM pg_roles WHERE oid = nspowner)
                 OR nspowner = (SELECT datdba FROM pg_database WHERE datname = current_database())))
 GROUP BY nspowner
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
        OR EXISTS (SELECT FROM pg_proc o WHERE o.proname = p.proname AND o.pronamespace = 'pg_catalog'::regnamespace))
UNION ALL
SELECT format('the role %I has made an operator that statements could meet: DROP OPERATOR %s', pg_get_userbyid(p.oprowner), p.oid::regoperator)
  FROM pg_operator p
  JOIN schemas s ON s.oid = p.oprnamespace
 WHERE p.oprowner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT format('the role %I owns %s, which has the name of a table of the archive: ALTER TABLE %2$s OWNER TO %3$I',
              pg_get_userbyid(c.relowner), c.oid::regclass, current_user)
  FROM pg_class c
  JOIN schemas s ON s.oid = c.relnamespace
 WHERE c.relkind NOT IN ('i', 'I', 't') AND c.relowner NOT IN (SELECT oid FROM trusted) AND s.nspname <> @people;
