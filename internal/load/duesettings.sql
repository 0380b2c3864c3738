-- Functions whose settings the source was asked for within the last @every. A time
-- that lies further in the future than that is wrong: the clock was set back.
SELECT function_id
  FROM functions
 WHERE function_id = ANY (@functions::integer[])
   AND settings_asked_at > @now::timestamptz - @every::interval
   AND settings_asked_at < @now::timestamptz + @every::interval
