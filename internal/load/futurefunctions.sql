-- Functions that were seen, missed, gone or asked in the future: a clock was ahead. What is
-- missing has its hours until now. What is gone, or was seen, was so long enough ago to be
-- asked in this run.
UPDATE functions f
   SET first_seen = CASE WHEN first_seen > @now THEN @now - interval '1 day' ELSE first_seen END,
       last_seen = CASE WHEN last_seen > @now THEN @now - interval '1 day' ELSE last_seen END,
       missing_since = CASE WHEN missing_since > @now THEN @now ELSE missing_since END,
       gone_at = CASE WHEN gone_at > @now THEN @now - interval '25 hours' ELSE gone_at END,
       gone_asked_at = CASE WHEN gone_asked_at <= @now THEN gone_asked_at END,
       settings_asked_at = CASE WHEN settings_asked_at <= @now THEN settings_asked_at END,
       versions_at = CASE WHEN versions_at <= @now THEN versions_at END
  FROM (
    SELECT function_id
      FROM functions
     WHERE provider = @provider AND region = @region AND project_id = @project
       AND GREATEST(first_seen, last_seen, missing_since, gone_at, gone_asked_at, settings_asked_at, versions_at) > @now::timestamptz + interval '1 day'
     ORDER BY latest_id IS NOT NULL, function_urn
       FOR NO KEY UPDATE) AS future
 WHERE f.function_id = future.function_id
