-- Finds the row of a source whose name or project has become known, before its run is noted.
--
-- An account that had no name gets the first one that a source gives it. While it was not
-- known to which project a source belongs, its runs have stood under its name alone: they
-- belong to the account's row. Another account that had the name gets the name that it would
-- have without one.
WITH own AS (
    SELECT source_id
      FROM source_notes
     WHERE provider = @provider::text AND region = @region::text AND project_id = @project::text
       AND name IN (@name::text, concat_ws('/', provider, NULLIF(region, ''), NULLIF(project_id, '')))
     ORDER BY name = @name DESC
     LIMIT 1
), nowhere AS (
    SELECT source_id
      FROM source_notes
     WHERE provider = @provider AND name = @name AND project_id = '' AND @project <> ''
), moved AS (
    UPDATE runs r
       SET source_id = o.source_id
      FROM own o, nowhere n
     WHERE r.source_id = n.source_id
), deleted AS (
    DELETE FROM source_notes s
     USING own o, nowhere n
     WHERE s.source_id = n.source_id
), named AS (
    UPDATE source_notes s
       SET name = @name
      FROM own o
     WHERE s.source_id = o.source_id AND s.name <> @name
), found_out AS (
    UPDATE source_notes s
       SET region = @region, project_id = @project
      FROM nowhere n
     WHERE s.source_id = n.source_id AND NOT EXISTS (SELECT FROM own)
)
UPDATE source_notes
   SET name = concat_ws('/', provider, NULLIF(region, ''), NULLIF(project_id, ''), source_id::text)
 WHERE name = @name AND project_id <> '' AND @project <> ''
   AND (provider, region, project_id) <> (@provider, @region, @project)
