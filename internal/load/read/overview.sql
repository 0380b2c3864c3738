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
    SELECT function_id, min(COALESCE(start_time, queried_window, first_archived_at)) AS oldest
      FROM invocations_in_flight
     GROUP BY function_id
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
SELECT f.provider,
       count(*) FILTER (WHERE f.gone_at IS NULL),
       count(*) FILTER (WHERE f.gone_at IS NOT NULL),
       count(off.function_id) FILTER (WHERE f.gone_at IS NULL),
       -- Functions that are missing from the list are probably deleted: their open windows
       -- are no trouble.
       COALESCE(sum(GREATEST(t.open - t.short - t.failed - COALESCE(p.windows, 0), 0)) FILTER (WHERE f.missing_since IS NULL), 0)::bigint,
       COALESCE(sum(p.windows) FILTER (WHERE f.missing_since IS NULL), 0)::bigint,
       COALESCE(sum(t.complete), 0)::bigint,
       COALESCE(sum(t.short) FILTER (WHERE f.missing_since IS NULL), 0)::bigint,
       COALESCE(sum(t.failed) FILTER (WHERE f.missing_since IS NULL), 0)::bigint,
       COALESCE(sum(t.gone), 0)::bigint,
       COALESCE(sum(t.expired), 0)::bigint,
       COALESCE(sum(t.missed), 0)::bigint,
       COALESCE(sum(stuck.windows) FILTER (WHERE f.missing_since IS NULL), 0)::bigint,
       (SELECT count(*) FROM source_lists l WHERE l.provider = f.provider AND NOT l.whole),
       COALESCE(sum(t.records), 0)::bigint,
       COALESCE(sum(t.pending), 0)::bigint,
       COALESCE(sum(t.rejected), 0)::bigint,
       min(o.open_since),
       min(d.due_since),
       min(i.oldest)
  FROM functions f
  LEFT JOIN window_totals t USING (function_id)
  LEFT JOIN partial p USING (function_id)
  LEFT JOIN in_flight i USING (function_id)
  LEFT JOIN off USING (function_id)
  LEFT JOIN stuck USING (function_id)
  LEFT JOIN LATERAL (
    SELECT window_start AS open_since
      FROM windows
     WHERE t.open > 0 AND f.missing_since IS NULL AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired')
     ORDER BY window_start
     LIMIT 1) o ON true
  LEFT JOIN unnest(@providers::text[], @since::timestamptz[]) AS s (provider, since) ON s.provider = f.provider
  LEFT JOIN LATERAL (
    SELECT window_start AS due_since
      FROM windows
     WHERE t.open > 0 AND f.missing_since IS NULL AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired')
       AND window_start >= s.since
     ORDER BY window_start
     LIMIT 1) d ON true
 GROUP BY f.provider
 ORDER BY f.provider
