-- What of the archive archiver_reader may read, and this role may not.
SELECT current_user, COALESCE(array_agg(c.relname ORDER BY c.relname), '{}')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY (@schemas)
   AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = to_regclass('windows'))
   AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
   AND EXISTS (
	SELECT FROM aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
	 WHERE r.rolname = 'archiver_reader' AND a.privilege_type = 'SELECT')
