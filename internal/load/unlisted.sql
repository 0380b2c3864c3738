SELECT function_id
  FROM functions f
  JOIN unnest(@functions::integer[], @marks::text[]) AS n (id, mark) ON n.id = f.function_id
 WHERE versions_at IS NULL OR versions_at <= @before OR versions_mark IS DISTINCT FROM mark
