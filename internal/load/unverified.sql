-- If one window was completed by @due, all windows that were completed by @with are
-- verified together. Windows that a clock that was ahead completed are due as well:
-- dueunverified.sql has the same rule.
WITH unverified AS (
    SELECT window_start, completed_at, window_start < @to AND completed_at > @now::timestamptz + interval '1 day' AS ahead
      FROM windows
     WHERE function_id = @function AND window_start >= @from AND state = 'complete' AND verified_at IS NULL
)
SELECT window_start
  FROM unverified
 WHERE (completed_at <= @with OR ahead)
   AND EXISTS (SELECT FROM unverified WHERE completed_at <= @due OR ahead)
 ORDER BY window_start
