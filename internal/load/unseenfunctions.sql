SELECT function_id, function_urn, function_name,
       EXISTS (SELECT FROM functions v WHERE v.latest_id = f.function_id)
  FROM functions f
 WHERE provider = @provider AND region = @region AND project_id = @project
   -- Versions other than the latest are listed by SeeVersions.
   AND gone_at IS NULL AND latest_id IS NULL AND last_seen < @before
 ORDER BY function_id
