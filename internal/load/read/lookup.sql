SELECT request_id, status, COALESCE(source_status, ''), COALESCE(error_code, ''), COALESCE(error_message, ''),
       start_time, end_time, extra::text
  FROM (
    -- The parts of invocations are queried one by one: the bounds of start_time
    -- exclude all other days, and a request id is one index lookup in each part.
    SELECT *
      FROM invocations_dated
     WHERE start_time >= COALESCE(@from, '-infinity'::timestamptz) AND start_time < COALESCE(@to, 'infinity'::timestamptz)
     UNION ALL
    -- A record without a start matches if its window overlaps the bounds.
    SELECT *
      FROM invocations_undated
     WHERE queried_window > COALESCE(@from, '-infinity'::timestamptz) - interval '1 hour'
       AND queried_window < COALESCE(@to, 'infinity'::timestamptz)
     UNION ALL
    SELECT *
      FROM invocations_in_flight
     WHERE CASE WHEN start_time IS NULL
                THEN queried_window > COALESCE(@from, '-infinity'::timestamptz) - interval '1 hour'
                     AND queried_window < COALESCE(@to, 'infinity'::timestamptz)
                ELSE start_time >= COALESCE(@from, '-infinity'::timestamptz)
                     AND start_time < COALESCE(@to, 'infinity'::timestamptz) END) AS i
 WHERE function_id = ANY (@functions)
   -- source_status is NULL if the source's word is the status itself.
   AND (@statuses::text[] IS NULL OR status = ANY (@statuses) OR source_status = ANY (@statuses))
   AND (@request_id = '' OR request_id = @request_id)
 ORDER BY COALESCE(start_time, queried_window + interval '1 hour') DESC, request_id
 LIMIT NULLIF(@most, 0)
