UPDATE claims
   SET epoch = epoch + 1, expires_at = '-infinity'
 WHERE function_id IN (SELECT function_id FROM walks WHERE span_from < @to AND span_to > @from)
   AND function_id <> ALL (COALESCE(@taken::integer[], '{}'))
RETURNING function_id
