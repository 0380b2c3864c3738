-- Windows that an earlier run left partial, short or failed, of the due windows and of the
-- open walks. Records without a start are left out: they count into the last hour of the
-- span in which they were found, and another span may end elsewhere.
SELECT window_start, GREATEST(records + rejected - startless, source_count)::integer, COALESCE(source_count, 0), refused_from, refused_to
  FROM windows w
 CROSS JOIN LATERAL (
    SELECT CASE WHEN w.records = 0 THEN 0 ELSE (
        SELECT count(*)
          FROM invocations_undated
         WHERE function_id = @function AND queried_window = w.window_start) + (
        SELECT count(*)
          FROM invocations_in_flight
         WHERE function_id = @function AND start_time IS NULL AND queried_window = w.window_start) END AS startless) AS s
 WHERE function_id = @function AND planned AND state NOT IN ('complete', 'gone', 'expired') AND state <> 'pending'
   AND (window_start = ANY (@windows) OR EXISTS (
    SELECT FROM unnest(@open_from::timestamptz[], @open_to::timestamptz[]) AS o (span_from, span_to)
     WHERE span_from <= w.window_start AND span_to > w.window_start))
 ORDER BY window_start
