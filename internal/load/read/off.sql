SELECT f.function_id, c.off, c.complete_from, c.complete_to
  FROM (
    -- Functions whose status log is off, or was.
    SELECT DISTINCT f.function_id
      FROM status_log_off o
      JOIN functions f USING (function_urn, provider, region, project_id)) AS f
 CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'off') AS off,
           min(window_start) FILTER (WHERE state = 'complete') AS complete_from,
           max(window_start) FILTER (WHERE state = 'complete') + interval '1 hour' AS complete_to
      FROM window_states
     WHERE function_id = f.function_id) AS c
 WHERE c.off > 0
