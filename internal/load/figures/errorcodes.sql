-- Continues duerows.sql. Codes and messages are cut: a key cannot have any length.
INSERT INTO hourly_error_codes (function_id, window_start, error_code, records, first_seen, last_seen, sample_message)
SELECT DISTINCT ON (function_id, window_start, error_code)
       function_id, window_start, error_code,
       count(*) OVER code, min(seen) OVER code, max(seen) OVER code, message
  FROM (
    SELECT function_id, window_start, left(COALESCE(error_code, ''), 200) AS error_code,
           COALESCE(start_time, window_start) AS seen, left(error_message, 500) AS message, request_id
      FROM due_rows
     WHERE status IN ('FAIL', 'DISCARD')) AS f
WINDOW code AS (PARTITION BY function_id, window_start, error_code)
 -- The sample is the message of the last record with a message.
 ORDER BY function_id, window_start, error_code, message IS NULL, seen DESC, request_id
