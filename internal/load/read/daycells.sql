WITH off AS MATERIALIZED (
    SELECT f.function_id, o.off_from, COALESCE(o.off_to, 'infinity') AS off_to
      FROM status_log_off o
      JOIN functions f USING (function_urn, provider, region, project_id)
     WHERE f.function_id = ANY (@functions::integer[])
       AND o.off_from < @to AND (o.off_to IS NULL OR o.off_to > @from)
), off_days AS (
    SELECT function_id, day, sum(n) AS off
      FROM (
        -- If the status log was off for a whole day, all empty windows of the day are off.
        SELECT d.function_id, d.day, d.empty AS n
          FROM off o
          JOIN window_days d
            ON d.function_id = o.function_id AND o.off_from <= d.day AND o.off_to >= d.day + interval '1 day'
         WHERE d.day >= @from AND d.day < @to AND d.empty > 0
         UNION ALL
        -- Windows are read only of days in which the status log went off or came back.
        SELECT w.function_id, b.day, count(*)
          FROM off o
         CROSS JOIN LATERAL (
            SELECT date_trunc('day', o.off_from, 'UTC') AS day
             WHERE o.off_from > date_trunc('day', o.off_from, 'UTC')
             UNION
            SELECT date_trunc('day', o.off_to, 'UTC')
             WHERE o.off_to < 'infinity' AND o.off_to > date_trunc('day', o.off_to, 'UTC')) AS b
          JOIN windows w
            ON w.function_id = o.function_id
           AND w.window_start >= GREATEST(b.day, o.off_from)
           AND w.window_start <= LEAST(b.day + interval '1 day', o.off_to) - interval '1 hour'
         WHERE b.day >= @from AND b.day < @to AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
         GROUP BY 1, 2
      ) AS n
     GROUP BY 1, 2
)
SELECT d.function_id, d.day AS at, d.windows::bigint AS windows, d.complete::bigint AS complete,
       d.in_flight::bigint AS in_flight, COALESCE(o.off, 0)::bigint AS off, d.short::bigint AS short,
       d.failed::bigint AS failed, d.gone::bigint AS gone,
       d.expired::bigint AS expired, d.missed::bigint AS missed, d.records, d.pending
  FROM window_days d
  LEFT JOIN off_days o USING (function_id, day)
 WHERE d.function_id = ANY (@functions::integer[]) AND d.day >= @from AND d.day < @to
