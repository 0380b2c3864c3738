SELECT date_trunc(@grain, window_start, 'UTC'), sum(records)::bigint, sum(fail + discard)::bigint
  FROM source_figures
 WHERE window_start >= @from AND window_start < @to
 GROUP BY 1
 ORDER BY 1
