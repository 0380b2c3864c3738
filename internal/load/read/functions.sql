WITH totals AS MATERIALIZED (
    SELECT * FROM archiver_internal.window_totals
)
SELECT f.function_id, f.provider, f.region, f.project_id, f.function_urn, f.function_name,
       f.gone_at,
       COALESCE(t.windows, 0), COALESCE(t.complete, 0), COALESCE(t.open, 0),
       COALESCE(t.short, 0), COALESCE(t.failed, 0), COALESCE(t.gone, 0),
       COALESCE(t.records, 0), COALESCE(t.pending, 0), COALESCE(t.rejected, 0),
       t.planned_from, t.planned_to, t.complete_from, t.complete_to,
       first_open.open_since, last_failed.last_error, now_off.off_since,
       -- The rule of Order.Rest, as the statement that selects what is due has it.
       CASE WHEN t.complete > 0 AND t.open = 0
                 AND EXTRACT(EPOCH FROM t.complete_to - t.complete_from)::integer / 3600 = t.complete
            THEN t.complete_to + LEAST(@rest_at_most, (t.complete_to - COALESCE(t.recorded_to, t.complete_from)) / 8) END
  FROM functions f
  LEFT JOIN totals t USING (function_id)
  -- Windows are read only of functions with open windows: two index lookups each.
  LEFT JOIN LATERAL (
    SELECT window_start AS open_since
      FROM archiver_internal.windows
     WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone')
     ORDER BY window_start
     LIMIT 1) AS first_open ON true
  LEFT JOIN LATERAL (
    SELECT last_error
      FROM archiver_internal.windows
     WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone')
       AND last_error IS NOT NULL
     ORDER BY window_start DESC
     LIMIT 1) AS last_failed ON true
  LEFT JOIN (
    SELECT function_urn, provider, region, project_id, max(off_from) AS off_since
      FROM status_log_off
     WHERE off_to IS NULL
     GROUP BY function_urn, provider, region, project_id) AS now_off
 USING (function_urn, provider, region, project_id)
 ORDER BY COALESCE(t.open, 0) > 0 DESC, first_open.open_since, f.function_name, f.function_id
