-- Windows that an earlier run left partial, short or failed, of the due windows and of the
-- open walks.
SELECT window_start, GREATEST(records + rejected, source_count), refused_from, refused_to
  FROM archiver_internal.windows w
 WHERE function_id = @function AND planned AND state NOT IN ('complete', 'gone', 'expired') AND state <> 'pending'
   AND (window_start = ANY (@windows) OR EXISTS (
    SELECT FROM unnest(@open_from::timestamptz[], @open_to::timestamptz[]) AS o (span_from, span_to)
     WHERE span_from <= w.window_start AND span_to > w.window_start))
 ORDER BY window_start
