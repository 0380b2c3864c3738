INSERT INTO function_aliases (function_id, alias_name, version, description, additional_versions, last_seen)
SELECT DISTINCT ON (a.name)
       @latest::integer, a.name, a.version, NULLIF(a.description, ''), NULLIF(a.additional, '')::jsonb, @at::timestamptz
  FROM unnest(@names::text[], @versions::text[], @descriptions::text[], @additional::text[])
    AS a (name, version, description, additional)
 ORDER BY a.name
    ON CONFLICT (function_id, alias_name) DO UPDATE
   SET version = EXCLUDED.version,
       description = EXCLUDED.description,
       additional_versions = EXCLUDED.additional_versions,
       last_seen = EXCLUDED.last_seen
