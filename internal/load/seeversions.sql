INSERT INTO functions AS f (provider, region, project_id, function_urn, function_name, first_seen, last_seen, latest_id, source_id)
SELECT DISTINCT ON (n.urn) l.provider, l.region, l.project_id, n.urn, n.name, @at::timestamptz, @at, l.function_id, l.source_id
  FROM functions l, unnest(@urns::text[], @names::text[]) AS n (urn, name)
 WHERE l.function_id = @latest
 ORDER BY n.urn
    ON CONFLICT (provider, region, project_id, function_urn) DO UPDATE
   SET function_name = EXCLUDED.function_name,
       latest_id = EXCLUDED.latest_id,
       last_seen = GREATEST(f.last_seen, EXCLUDED.last_seen),
       gone_at = NULL,
       gone_asked_at = NULL
 WHERE f.function_id <> EXCLUDED.latest_id
