-- Due windows that no open walk reads and that do not wait, also those without a row. A
-- window that is gone is due again once its function is listed again, or asked again. A
-- window waits at most for a day: a clock that was ahead has written a later time.
WITH due AS (
    SELECT hour
      FROM generate_series(@from::timestamptz, LEAST(@to::timestamptz, @until) - interval '1 hour', interval '1 hour') AS hour
      LEFT JOIN windows w
        ON w.function_id = @function AND w.window_start = hour AND w.window_start >= @from AND w.window_start < @to
     WHERE w.state IS NULL
        OR @force
        OR w.state NOT IN ('complete', 'expired')
           AND (w.state <> 'gone' OR @asked_again OR (SELECT gone_at FROM functions WHERE function_id = @function) IS NULL)
           AND (w.retry_at IS NULL OR w.retry_at <= @waits_after OR w.retry_at > @waits_after::timestamptz + interval '2 days')
    UNION ALL
    SELECT window_start
      FROM windows
     WHERE function_id = @function AND window_start < @from
       AND planned AND state NOT IN ('complete', 'gone', 'expired') AND @older
       AND (retry_at IS NULL OR retry_at <= @waits_after OR retry_at > @waits_after + interval '2 days')
)
SELECT hour
  FROM due
 WHERE NOT EXISTS (
    SELECT FROM walks
     WHERE function_id = @function AND span_from <= hour AND span_to > hour)
 ORDER BY hour
