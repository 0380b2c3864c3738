SELECT (array_agg(last_error ORDER BY window_start DESC, function_id))[1], count(*),
       (array_agg(function_id ORDER BY window_start DESC, function_id))[1], max(window_start),
       (array_agg(refused_from ORDER BY window_start DESC, function_id))[1],
       (array_agg(refused_to ORDER BY window_start DESC, function_id))[1]
  FROM (
    -- Errors are alike if they differ only in the function's name and in numbers.
    SELECT e.*, regexp_replace(replace(e.last_error, f.function_name, ''), '[0-9A-Fa-f-]{5,}', '', 'g') AS alike
      FROM functions f
     CROSS JOIN LATERAL (
        SELECT function_id, last_error, window_start, refused_from, refused_to
          FROM windows
         WHERE function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone', 'expired') AND last_error IS NOT NULL
         ORDER BY window_start DESC
         LIMIT 1) AS e
     WHERE f.function_id = ANY (@functions::integer[])) AS e
 GROUP BY alike
 ORDER BY max(window_start) DESC, alike
 LIMIT @most
