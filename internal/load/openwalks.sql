SELECT span_from, span_to, source_cursor, seen, COALESCE(source_count, -1)
  FROM walks
 WHERE function_id = @function AND (span_from < @to AND span_to > @from OR @older)
 ORDER BY span_from
