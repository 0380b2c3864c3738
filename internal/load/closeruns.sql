-- Ends the runs whose processes have died: no session holds the lock of the owner. Runs
-- that began before runs had owners have died if they noted nothing for a while, or only by
-- a clock that was ahead. A run of this process that is not under way could not be ended
-- when the database was away.
UPDATE runs
   SET outcome = 'failed', finished_at = COALESCE(seen_at, started_at),
       windows = windows_planned, records = records_done, calls = calls_done,
       error = CASE WHEN owner = @owner THEN 'the database could not be reached when the run ended'
                    ELSE 'the process of the run died, or lost the database' END
            || to_char(COALESCE(seen_at, started_at) AT TIME ZONE 'UTC', '"; last progress at "YYYY-MM-DD"T"HH24:MI:SS"Z"')
            || CASE WHEN pg_postmaster_start_time() > COALESCE(seen_at, started_at)
                    THEN to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', '"; PostgreSQL was started at "YYYY-MM-DD"T"HH24:MI:SS"Z"')
                    ELSE '' END
 WHERE outcome = 'running' AND run_id <> ALL (@open::bigint[])
   AND CASE WHEN owner IS NULL THEN COALESCE(seen_at, started_at) NOT BETWEEN @dead_since AND @dead_since::timestamptz + interval '1 day'
            ELSE owner = @owner OR NOT EXISTS (
                SELECT FROM pg_locks l
                 WHERE l.locktype = 'advisory' AND l.granted
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND l.classid = @owner_locks::integer::oid AND l.objid = owner::oid AND l.objsubid = 2) END
