INSERT INTO walks (function_id, span_from, span_to, source_cursor, seen, source_count)
SELECT *
  FROM unnest(@functions::integer[], @from::timestamptz[], @to::timestamptz[], @cursors::text[], @seen::integer[], @source_counts::integer[])
    ON CONFLICT (function_id, span_from) DO UPDATE
   SET span_to = EXCLUDED.span_to, source_cursor = EXCLUDED.source_cursor,
       seen = EXCLUDED.seen, source_count = EXCLUDED.source_count
