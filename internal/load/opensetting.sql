INSERT INTO notification_setting_versions (
       function_id, provider, region, project_id, function_urn, valid_from, seen_at, created_time, last_modified,
       max_async_event_age_in_seconds, max_async_retry_attempts,
       on_success_destination, on_failure_destination, enable_async_status_log, raw)
SELECT function_id, provider, region, project_id, @urn, @from, @at, @created, @modified,
       NULLIF(@max_event_age, -1), NULLIF(@max_retries, -1),
       NULLIF(@on_success, ''), NULLIF(@on_failure, ''), @status_log, @raw::text::jsonb
  FROM functions
 WHERE function_id = @function
