WITH off AS MATERIALIZED (
    SELECT f.function_id, o.off_from, COALESCE(o.off_to, 'infinity') AS off_to
      FROM status_log_off o
      JOIN functions f USING (function_urn, provider, region, project_id)
     WHERE f.function_id = ANY (@functions::integer[])
       AND o.off_from < @to AND (o.off_to IS NULL OR o.off_to > @from)
)
SELECT w.function_id, w.window_start AS at, w.planned::integer::bigint AS windows,
       (w.state = 'complete')::integer::bigint AS complete,
       (w.state = 'complete' AND w.pending > 0)::integer::bigint AS in_flight,
       (o.function_id IS NOT NULL)::integer::bigint AS off,
       (w.state = 'short')::integer::bigint AS short,
       (w.state = 'failed')::integer::bigint AS failed,
       (w.state = 'gone')::integer::bigint AS gone,
       (w.state = 'expired')::integer::bigint AS expired,
       (w.state = 'expired' AND w.missed AND w.acknowledged_at IS NULL)::integer::bigint AS missed,
       w.records::bigint AS records, w.pending::bigint AS pending
  FROM windows w
  -- The same rule as in window_states.
  LEFT JOIN off o
    ON o.function_id = w.function_id AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
   AND o.off_from <= w.window_start AND o.off_to >= w.window_start + interval '1 hour'
 WHERE w.function_id = ANY (@functions::integer[]) AND w.window_start >= @from AND w.window_start < @to
