INSERT INTO source_figures (
    provider, region, project_id, window_start, functions, records, success, fail, discard, in_flight, other,
    timed, total_seconds, max_seconds, histogram)
SELECT f.provider, f.region, f.project_id, h.window_start, count(*), sum(h.records),
       COALESCE(sum(h.success), 0), COALESCE(sum(h.fail), 0), COALESCE(sum(h.discard), 0),
       COALESCE(sum(h.in_flight), 0), COALESCE(sum(h.other), 0), COALESCE(sum(h.timed), 0),
       COALESCE(sum(h.total_seconds), 0), max(h.max_seconds), histogram_sum(h.histogram)::integer[]
  FROM hourly_figures h
  JOIN functions f USING (function_id)
 WHERE h.window_start = ANY (@windows)
 GROUP BY f.provider, f.region, f.project_id, h.window_start
