UPDATE claims c
   SET owner = @owner, epoch = c.epoch + 1, expires_at = clock_timestamp() + @life
  FROM (
	SELECT function_id
	  FROM claims
	 WHERE function_id = ANY (@functions)
	   -- No claim lasts longer than @life: the server's clock was ahead.
	   AND (expires_at NOT BETWEEN clock_timestamp() AND clock_timestamp() + 2 * @life::interval
	        -- or its owner's session has ended
	        OR NOT EXISTS (
			SELECT FROM pg_locks l
			 WHERE l.locktype = 'advisory' AND l.granted
			   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			   AND l.classid = @owner_locks::integer::oid AND l.objid = owner::oid AND l.objsubid = 2))
	   -- A row that is locked belongs to a worker in the middle of a commit.
	   -- Waiting for it could take as long as that worker is paused.
	   FOR UPDATE SKIP LOCKED) AS free
 WHERE c.function_id = free.function_id
RETURNING c.function_id, c.epoch
