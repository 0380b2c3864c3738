SELECT window_start, sum(records)::bigint, sum(fail + discard)::bigint
  FROM hourly_figures
 WHERE function_id = ANY (@functions::integer[]) AND window_start >= @from AND window_start < @to
 GROUP BY 1
 ORDER BY 1
