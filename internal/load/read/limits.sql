SELECT provider, region, project_id, function_urn, function_name, what, value, unit, meaning, learned_at, believed_until
  FROM source_limits
 WHERE believed_until > @at
 ORDER BY provider, region, project_id, function_urn NULLS FIRST, what
