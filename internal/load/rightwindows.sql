-- Windows that have not ended hold what came of them by chance, and no run has planned them.
WITH kept AS (
    UPDATE windows
       SET state = 'pending', planned = false, source_count = NULL, attempts = 0, last_error = NULL,
           completed_at = NULL, verified_at = NULL, missed = false, unproven = false, acknowledged_at = NULL,
           refused_from = NULL, refused_to = NULL, stuck = 0, retry_at = NULL
     WHERE (records > 0 OR rejected > 0) AND planned
       AND function_id = ANY (@functions) AND window_start > @now::timestamptz - interval '1 hour'
), walked AS (
    DELETE FROM walks
     WHERE function_id = ANY (@functions) AND span_to > @now
)
DELETE FROM windows
 WHERE NOT (records > 0 OR rejected > 0) AND planned
   AND function_id = ANY (@functions) AND window_start > @now - interval '1 hour'
