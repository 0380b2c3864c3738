-- A source that was reached by its endpoint had no region in older archives. When its region
-- is known, it is the same source.
WITH nowhere AS (
    SELECT provider, project_id
      FROM source_notes
     WHERE provider = @provider::text AND region = '' AND project_id = @project::text AND project_id <> '' AND @region::text <> ''
       AND NOT EXISTS (SELECT FROM source_notes WHERE provider = @provider AND region = @region AND project_id = @project)
       AND NOT EXISTS (SELECT FROM functions WHERE provider = @provider AND region = @region AND project_id = @project)
), moved_functions AS (
    UPDATE functions t SET region = @region FROM nowhere n
     WHERE t.provider = n.provider AND t.region = '' AND t.project_id = n.project_id
), moved_settings AS (
    UPDATE notification_setting_versions t SET region = @region FROM nowhere n
     WHERE t.provider = n.provider AND t.region = '' AND t.project_id = n.project_id
), moved_lessons AS (
    UPDATE learned t SET region = @region FROM nowhere n
     WHERE t.provider = n.provider AND t.region = '' AND t.project_id = n.project_id
), moved_lists AS (
    UPDATE source_lists t SET region = @region FROM nowhere n
     WHERE t.provider = n.provider AND t.region = '' AND t.project_id = n.project_id
), moved_figures AS (
    UPDATE source_figures t SET region = @region FROM nowhere n
     WHERE t.provider = n.provider AND t.region = '' AND t.project_id = n.project_id
)
UPDATE source_notes t SET region = @region FROM nowhere n
 WHERE t.provider = n.provider AND t.region = '' AND t.project_id = n.project_id
