-- A function that is listed again is not missing any more, nor are its versions.
WITH listed_again AS (
    UPDATE functions v
       SET missing_since = NULL
      FROM functions l
     WHERE v.latest_id = l.function_id AND v.missing_since IS NOT NULL
       AND l.provider = @provider AND l.region = @region AND l.project_id = @project AND l.function_urn = ANY (@urns::text[])
)
INSERT INTO functions AS f (provider, region, project_id, function_urn, function_name, first_seen, last_seen, source_id)
SELECT @provider, @region, @project, n.urn, n.name, @at, @at,
       (SELECT source_id
          FROM source_notes
         WHERE provider = @provider AND region = @region AND project_id = @project
         ORDER BY last_seen DESC, source_id
         LIMIT 1)
  FROM unnest(@urns::text[], @names::text[]) AS n (urn, name)
 ORDER BY n.urn
    ON CONFLICT (provider, region, project_id, function_urn) DO UPDATE
   SET function_name = EXCLUDED.function_name,
       source_id = COALESCE(f.source_id, EXCLUDED.source_id),
       last_seen = GREATEST(f.last_seen, EXCLUDED.last_seen),
       missing_since = NULL,
       -- A function that was missing and is listed again may be another one of the same
       -- name. If it was listed all the time, the source has said that it does not exist.
       gone_at = CASE WHEN f.missing_since IS NULL THEN f.gone_at END,
       gone_asked_at = CASE WHEN f.missing_since IS NULL THEN f.gone_asked_at END
RETURNING f.function_id, f.function_urn, f.function_name,
          EXISTS (SELECT FROM functions v WHERE v.latest_id = f.function_id),
          f.first_seen, f.missing_since, f.gone_at, f.ignored_at IS NOT NULL
