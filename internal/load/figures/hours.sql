-- Continues duerows.sql.
, noted AS (
    SELECT * FROM unnest(@functions::integer[], @windows::timestamptz[]) AS n (function_id, window_start)
), timed AS (
    SELECT function_id, window_start, status,
           CASE WHEN status IN ('WAIT', 'RUNNING') THEN NULL
                WHEN end_time < start_time THEN 0
                ELSE date_part('epoch', end_time - start_time) END AS seconds
      FROM due_rows
), by_bucket AS (
    SELECT function_id, window_start, duration_bucket(seconds) AS bucket,
           count(*) AS records,
           count(*) FILTER (WHERE status = 'SUCCESS') AS success,
           count(*) FILTER (WHERE status = 'FAIL') AS fail,
           count(*) FILTER (WHERE status = 'DISCARD') AS discard,
           count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS in_flight,
           count(seconds) AS timed, sum(seconds) AS total_seconds, max(seconds) AS max_seconds
      FROM timed
     GROUP BY function_id, window_start, bucket
), counted AS (
    SELECT function_id, window_start,
           sum(records) AS records, sum(success) AS success, sum(fail) AS fail, sum(discard) AS discard,
           sum(in_flight) AS in_flight, sum(records - success - fail - discard - in_flight) AS other,
           sum(timed) AS timed, COALESCE(sum(total_seconds), 0) AS total_seconds, max(max_seconds) AS max_seconds,
           histogram_of(array_agg(bucket) FILTER (WHERE bucket IS NOT NULL),
                        array_agg(timed) FILTER (WHERE bucket IS NOT NULL))::integer[] AS histogram
      FROM by_bucket
     GROUP BY function_id, window_start
), emptied AS (
    -- Hours that have no rows any more.
    DELETE FROM hourly_figures h
     USING noted n
     WHERE h.function_id = n.function_id AND h.window_start = n.window_start
       AND NOT EXISTS (SELECT FROM counted c WHERE c.function_id = n.function_id AND c.window_start = n.window_start)
)
INSERT INTO hourly_figures (
    function_id, window_start, records, success, fail, discard, in_flight, other,
    timed, total_seconds, max_seconds, histogram)
SELECT function_id, window_start, records, success, fail, discard, in_flight, other,
       timed, total_seconds, max_seconds, histogram
  FROM counted
    ON CONFLICT (function_id, window_start) DO UPDATE
   SET records = EXCLUDED.records, success = EXCLUDED.success, fail = EXCLUDED.fail,
       discard = EXCLUDED.discard, in_flight = EXCLUDED.in_flight, other = EXCLUDED.other,
       timed = EXCLUDED.timed, total_seconds = EXCLUDED.total_seconds, max_seconds = EXCLUDED.max_seconds,
       histogram = EXCLUDED.histogram
