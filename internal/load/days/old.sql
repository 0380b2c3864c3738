SELECT date_trunc('day', window_start, 'UTC'), sum(records - pending)
  FROM windows
 -- The condition on function_id lets the index on (function_id, window_start) find
 -- the few old windows.
 WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions)) AND window_start < @before
   -- Not windows that hold nothing but records in flight: retention keeps them.
   AND (planned OR rejected > 0 OR pending = 0 OR records > pending)
 GROUP BY 1
