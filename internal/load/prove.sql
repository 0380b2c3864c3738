-- The source has given a record that was @age old. It keeps records as long, so that it
-- would have given those of these windows: they began no longer ago when they were read.
--
-- A window that ended no longer ago, and began longer ago, may be half forgotten: but only
-- if the source has given nothing of earlier windows either.
UPDATE windows
   SET state = 'complete', missed = false, unproven = false, acknowledged_at = NULL, last_error = NULL,
       source_count = COALESCE(source_count, records + rejected)
 WHERE function_id = ANY (@functions) AND state = 'expired' AND unproven
   AND completed_at - window_start <= @age::interval + interval '1 hour'
   AND (completed_at - window_start <= @age::interval OR NOT EXISTS (
	SELECT
	  FROM windows w
	 WHERE w.function_id = ANY (@functions) AND w.state = 'expired' AND w.unproven
	   AND w.completed_at - w.window_start > @age::interval + interval '1 hour'))
