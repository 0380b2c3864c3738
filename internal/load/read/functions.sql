WITH looked_up AS MATERIALIZED ( -- each time once
    SELECT * FROM window_totals
), totals AS (
    SELECT *, LEAST(complete_from, expired_from) AS decided_from, GREATEST(complete_to, expired_to) AS decided_to
      FROM looked_up
)
SELECT f.function_id, COALESCE(f.source_id, 0), f.provider, f.region, f.project_id, f.function_urn, f.function_name,
       f.first_seen, f.gone_at, f.missing_since,
       f.standing, f.excluded_since, f.ignored_at, f.ignored_by, f.ignored_reason,
       COALESCE(t.windows, 0), COALESCE(t.complete, 0), COALESCE(t.open, 0),
       COALESCE(t.short, 0), COALESCE(t.failed, 0), COALESCE(stuck.windows, 0), COALESCE(t.gone, 0),
       COALESCE(t.expired, 0), COALESCE(t.missed, 0),
       COALESCE(t.records, 0), COALESCE(t.pending, 0), COALESCE(t.rejected, 0),
       t.planned_from, t.planned_to, t.complete_from, t.complete_to,
       first_open.open_since, first_missed.missed_since, last_failed.last_error, now_off.off_since,
       -- The rule of Order.Rest, as the statement that selects what is due has it.
       CASE WHEN t.complete > 0 AND t.open = 0
                 AND EXTRACT(EPOCH FROM t.decided_to - t.decided_from)::integer / 3600 = t.complete + t.expired
            THEN t.decided_to + LEAST(@rest_at_most, (t.decided_to - COALESCE(t.recorded_to, t.complete_from)) / 8) END
  FROM functions f
  LEFT JOIN totals t USING (function_id)
  -- Windows are read only of functions with open windows: two index lookups each.
  LEFT JOIN LATERAL (
    SELECT window_start AS open_since
      FROM windows
     WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired')
     ORDER BY window_start
     LIMIT 1) AS first_open ON true
  LEFT JOIN LATERAL (
    SELECT last_error
      FROM windows
     WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired')
       AND last_error IS NOT NULL
     ORDER BY window_start DESC
     LIMIT 1) AS last_failed ON true
  LEFT JOIN LATERAL (
    SELECT min(window_start) AS missed_since
      FROM windows
     WHERE t.missed > 0 AND function_id = f.function_id AND state = 'expired' AND missed AND acknowledged_at IS NULL) AS first_missed ON true
  -- Few windows are stuck: an index has no others.
  LEFT JOIN (
    SELECT function_id, count(*) AS windows
      FROM windows
     WHERE retry_at IS NOT NULL
     GROUP BY function_id) AS stuck USING (function_id)
  LEFT JOIN (
    SELECT function_urn, provider, region, project_id, max(off_from) AS off_since
      FROM status_log_off
     WHERE off_to IS NULL
     GROUP BY function_urn, provider, region, project_id) AS now_off
 USING (function_urn, provider, region, project_id)
 ORDER BY COALESCE(t.open, 0) > 0 DESC, first_open.open_since, f.function_name, f.function_id
