SELECT function_id, function_urn, function_name,
       EXISTS (SELECT FROM functions v WHERE v.latest_id = f.function_id),
       first_seen, missing_since, gone_at, ignored_at IS NOT NULL
  FROM functions f
 WHERE provider = @provider AND region = @region AND project_id = @project
   -- Versions other than the latest are listed by SeeVersions.
   AND latest_id IS NULL AND last_seen < @before
   -- A function that is gone is asked again once a day, as long as its source can have
   -- records of it.
   AND (gone_at IS NULL OR gone_at > @before::timestamptz - @retention::interval
                           AND COALESCE(gone_asked_at, gone_at) <= @before::timestamptz - interval '24 hours')
 ORDER BY function_id
