-- Lists of two processes may end at once: each locks the functions in the order in which
-- seefunctions.sql does.
WITH unlisted AS (
    SELECT function_id
      FROM functions
     WHERE provider = @provider AND region = @region AND project_id = @project
       AND latest_id IS NULL AND last_seen < @at AND missing_since IS NULL AND @whole
     ORDER BY function_urn
       FOR NO KEY UPDATE
), missing AS (
    UPDATE functions f
       SET missing_since = @at
      FROM unlisted u
     WHERE f.function_id = u.function_id AND f.last_seen < @at
        OR f.latest_id = u.function_id AND f.missing_since IS NULL
)
INSERT INTO source_lists AS l (provider, region, project_id, listed_at, whole, listed, counted, whole_at, last_error)
SELECT @provider, @region, @project, @at, @whole,
       COALESCE(@listed::integer, (
        SELECT count(*)
          FROM functions
         WHERE provider = @provider AND region = @region AND project_id = @project
           AND latest_id IS NULL AND last_seen >= @at)),
       @counted::integer, CASE WHEN @whole THEN @at::timestamptz END, @error::text
    ON CONFLICT (provider, region, project_id) DO UPDATE
   SET listed_at = EXCLUDED.listed_at, whole = EXCLUDED.whole, listed = EXCLUDED.listed, counted = EXCLUDED.counted,
       whole_at = COALESCE(EXCLUDED.whole_at, l.whole_at), last_error = EXCLUDED.last_error
