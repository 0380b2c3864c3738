-- Of two lessons with the same key, the last one counts.
INSERT INTO learned AS l (provider, region, project_id, what, function_id, value, span_from, span_to, proven, learned_at)
SELECT DISTINCT ON (n.what, n.function_id, CASE n.what WHEN 'count' THEN n.value ELSE 0 END)
       @provider, @region, @project, n.what, n.function_id, n.value, n.span_from, n.span_to, n.proven, n.learned_at
  FROM unnest(@whats::text[], @functions::integer[], @values::bigint[], @from::timestamptz[], @to::timestamptz[],
              @proven::boolean[], @at::timestamptz[])
  WITH ORDINALITY AS n (what, function_id, value, span_from, span_to, proven, learned_at, nth)
 ORDER BY n.what, n.function_id, CASE n.what WHEN 'count' THEN n.value ELSE 0 END,
          CASE WHEN n.what IN ('proven', 'age') THEN n.value ELSE n.nth END DESC
    ON CONFLICT (provider, region, project_id, what, function_id, (CASE what WHEN 'count' THEN value ELSE 0 END)) DO UPDATE
   SET value = EXCLUDED.value, span_from = EXCLUDED.span_from, span_to = EXCLUDED.span_to,
       proven = EXCLUDED.proven, learned_at = EXCLUDED.learned_at
 -- A greater value stays as long as it is believed, and is believed no longer for that.
 WHERE NOT (l.what IN ('proven', 'age') AND l.value > EXCLUDED.value AND l.learned_at >= EXCLUDED.learned_at - @life::interval)
