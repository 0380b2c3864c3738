-- Windows that were compared with the source by one count, together with a window that a
-- record has left, are compared again: in that count the record may have stood for another
-- one, which the archive does not have.
UPDATE windows w
   SET verified_at = NULL
  FROM unnest(@functions::integer[], @starts::timestamptz[]) AS c (function_id, window_start)
  JOIN windows o USING (function_id, window_start)
 WHERE w.function_id = o.function_id AND w.verified_at = o.verified_at
   AND w.window_start > o.window_start - @max_span::interval AND w.window_start < o.window_start + @max_span::interval
