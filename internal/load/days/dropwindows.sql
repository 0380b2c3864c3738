WITH kept AS (
    -- Windows with records in flight stay as if they had been found by chance.
    UPDATE windows
       SET state = 'pending', planned = false, records = pending, rejected = 0, source_count = NULL,
           attempts = 0, last_error = NULL, completed_at = NULL, verified_at = NULL,
           missed = false, unproven = false, acknowledged_at = NULL, refused_from = NULL, refused_to = NULL, stuck = 0, retry_at = NULL
     WHERE pending > 0 AND function_id = ANY (ARRAY (SELECT function_id FROM functions))
       AND window_start >= @from AND window_start < @to
), dropped AS (
    DELETE FROM windows
     WHERE pending <= 0 AND function_id = ANY (ARRAY (SELECT function_id FROM functions))
       AND window_start >= @from AND window_start < @to
)
-- The rows of the day, as the windows counted them before this statement. The
-- conditions on function_id let the index on (function_id, window_start) find the
-- windows.
SELECT COALESCE(sum(records - pending), 0)
  FROM windows
 WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions))
   AND window_start >= @from AND window_start < @to
