-- Makes the name of a source its own: another account that had the name gets the name that
-- it would have without one. A source that was noted before it was known to which project
-- it belongs gets its project.
WITH found_out AS (
    UPDATE source_notes s
       SET region = @region::text, project_id = @project::text
     WHERE s.name = @name::text AND s.provider = @provider::text AND s.project_id = '' AND @project::text <> ''
       AND NOT EXISTS (SELECT FROM source_notes o WHERE o.provider = @provider::text AND o.region = @region::text AND o.project_id = @project::text)
)
UPDATE source_notes
   SET name = concat_ws('/', provider, NULLIF(region, ''), NULLIF(project_id, ''), source_id::text)
 WHERE name = @name::text AND project_id <> '' AND @project::text <> ''
   AND (provider, region, project_id) <> (@provider::text, @region::text, @project::text)
