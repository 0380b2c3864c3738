-- Windows that have not ended hold what came of them by chance, and no run has planned them.
-- Windows that were completed in the future may have been read before they ended. They are
-- read again, and their counts stay known, as those of a walk that was interrupted.
WITH reread AS (
    UPDATE windows
       SET state = 'partial', completed_at = NULL, verified_at = NULL, missed = false, unproven = false
     WHERE function_id = ANY (@functions) AND window_start <= @now::timestamptz - interval '1 hour'
       AND completed_at > @late
       AND (state = 'complete' AND (verified_at IS NULL OR verified_at > @late)
            OR state = 'expired' AND acknowledged_at IS NULL)
), kept AS (
    UPDATE windows
       SET state = 'pending', planned = false, source_count = NULL, attempts = 0, last_error = NULL,
           completed_at = NULL, verified_at = NULL, missed = false, unproven = false, acknowledged_at = NULL,
           refused_from = NULL, refused_to = NULL, stuck = 0, retry_at = NULL
     WHERE (records > 0 OR rejected > 0) AND planned
       AND function_id = ANY (@functions) AND window_start > @now - interval '1 hour'
), walked AS (
    DELETE FROM walks
     WHERE function_id = ANY (@functions) AND span_to > @now
)
DELETE FROM windows
 WHERE NOT (records > 0 OR rejected > 0) AND planned
   AND function_id = ANY (@functions) AND window_start > @now - interval '1 hour'
