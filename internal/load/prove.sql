-- The source has given a record that was @age old. It keeps records as long, so that it
-- would have given those of these windows: they began no longer ago when they were read.
UPDATE archiver_internal.windows
   SET state = 'complete', missed = false, unproven = false, acknowledged_at = NULL, last_error = NULL,
       source_count = COALESCE(source_count, records + rejected)
 WHERE function_id = ANY (@functions) AND state = 'expired' AND unproven
   AND completed_at - window_start <= @age::interval
