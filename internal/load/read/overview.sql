WITH partial AS (
    -- The totals count pending and partial windows together. A partial window has a
    -- walk through it.
    SELECT k.function_id, count(*) AS windows
      FROM walks k
      JOIN windows w
        ON w.function_id = k.function_id
       AND w.window_start >= k.span_from AND w.window_start < k.span_to
     WHERE w.planned AND w.state = 'partial'
     GROUP BY k.function_id
), in_flight AS (
    -- Nobody asks for the others any more: they have outlived the longest life.
    SELECT i.function_id, min(COALESCE(i.start_time, i.queried_window, i.first_archived_at)) AS oldest
      FROM invocations_in_flight i
      JOIN windows w
        ON w.function_id = i.function_id
       AND w.window_start = date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC')
     WHERE w.recheck_at IS NOT NULL
     GROUP BY i.function_id
), off AS (
    SELECT DISTINCT f.function_id
      FROM functions f
      JOIN status_log_off o USING (function_urn, provider, region, project_id)
     WHERE o.off_to IS NULL
), stuck AS (
    SELECT function_id, count(*) AS windows
      FROM windows
     WHERE retry_at IS NOT NULL
     GROUP BY function_id
)
SELECT s.name,
       count(*) FILTER (WHERE f.standing = 'wanted'),
       count(*) FILTER (WHERE f.standing = 'missing'),
       count(*) FILTER (WHERE f.standing = 'gone'),
       count(*) FILTER (WHERE f.standing = 'excluded'),
       count(*) FILTER (WHERE f.standing = 'ignored'),
       count(off.function_id) FILTER (WHERE f.standing = 'wanted'),
       COALESCE(sum(GREATEST(t.open - t.short - t.failed - COALESCE(p.windows, 0), 0)) FILTER (WHERE f.standing = 'wanted'), 0)::bigint,
       COALESCE(sum(p.windows) FILTER (WHERE f.standing = 'wanted'), 0)::bigint,
       COALESCE(sum(t.complete), 0)::bigint,
       COALESCE(sum(t.short) FILTER (WHERE f.standing = 'wanted'), 0)::bigint,
       COALESCE(sum(t.failed) FILTER (WHERE f.standing = 'wanted'), 0)::bigint,
       COALESCE(sum(t.gone), 0)::bigint,
       COALESCE(sum(t.expired), 0)::bigint,
       COALESCE(sum(t.missed) FILTER (WHERE f.standing = 'wanted'), 0)::bigint,
       COALESCE(sum(stuck.windows) FILTER (WHERE f.standing = 'wanted'), 0)::bigint,
       COALESCE(sum(t.records), 0)::bigint,
       COALESCE(sum(t.pending), 0)::bigint,
       COALESCE(sum(t.rejected), 0)::bigint,
       min(o.open_since),
       min(d.due_since),
       min(i.oldest)
  FROM unnest(@ids::integer[], @names::text[], @providers::text[], @regions::text[], @projects::text[], @since::timestamptz[])
       AS s (source_id, name, provider, region, project_id, since)
  JOIN functions f
    ON f.source_id = s.source_id
    OR f.source_id IS NULL AND s.source_id = 0 AND (f.provider, f.region, f.project_id) = (s.provider, s.region, s.project_id)
  LEFT JOIN window_totals t USING (function_id)
  LEFT JOIN partial p USING (function_id)
  LEFT JOIN in_flight i USING (function_id)
  LEFT JOIN off USING (function_id)
  LEFT JOIN stuck USING (function_id)
  LEFT JOIN LATERAL (
    SELECT window_start AS open_since
      FROM windows
     WHERE t.open > 0 AND f.standing = 'wanted' AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired')
     ORDER BY window_start
     LIMIT 1) o ON true
  LEFT JOIN LATERAL (
    SELECT window_start AS due_since
      FROM windows
     WHERE t.open > 0 AND f.standing = 'wanted' AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired')
       AND window_start >= s.since
     ORDER BY window_start
     LIMIT 1) d ON true
 GROUP BY s.name
 ORDER BY s.name
