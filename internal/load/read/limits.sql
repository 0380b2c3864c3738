SELECT provider, region, project_id, function_urn, function_name, what, value, unit, meaning, learned_at, believed_until
  FROM source_limits
 WHERE believed_until > @at AND value > 0 -- 0: what was learned before does not hold any more
 ORDER BY provider, region, project_id, function_urn NULLS FIRST, what
