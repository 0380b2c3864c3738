SELECT day::timestamp AT TIME ZONE 'UTC', sum(records)::bigint, sum(fail + discard)::bigint
  FROM daily_figures
 WHERE function_id = ANY (@functions::integer[])
   AND day >= (@from::timestamptz AT TIME ZONE 'UTC')::date AND day < (@to::timestamptz AT TIME ZONE 'UTC')::date
 GROUP BY 1
 ORDER BY 1
