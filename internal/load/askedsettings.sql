-- An answer is for all versions of the function. Rows of several versions are
-- locked in one order: the latest first.
UPDATE functions f
   SET settings_asked_at = @at
  FROM (
    SELECT function_id
      FROM functions
     WHERE function_id = @function OR latest_id = @function
     ORDER BY latest_id IS NOT NULL, function_urn
       FOR NO KEY UPDATE) AS v
 WHERE v.function_id = f.function_id
