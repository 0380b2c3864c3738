SELECT f.provider, f.region, f.project_id AS project, max(n.window_start) + interval '1 hour' AS newest
  FROM functions f
  LEFT JOIN LATERAL (
    SELECT window_start
      FROM windows w
     -- Windows that are off are complete here.
     WHERE w.function_id = f.function_id AND w.state IN ('complete', 'expired')
     ORDER BY window_start DESC
     LIMIT 1) AS n ON true
 WHERE EXISTS (SELECT FROM windows w WHERE w.function_id = f.function_id)
 GROUP BY f.provider, f.region, f.project_id
 ORDER BY f.provider, f.region, f.project_id
