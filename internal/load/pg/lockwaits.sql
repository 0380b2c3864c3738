-- The sessions of the archive's processes that have waited for a lock for long, and who keeps
-- them waiting. PostgreSQL 13 does not say since when a session waits: a statement waits
-- since it began then. What other roles do is visible to some roles only.
WITH locks AS MATERIALIZED (
    SELECT * FROM pg_locks
),
sessions AS MATERIALIZED (
    SELECT * FROM pg_stat_activity WHERE datname = current_database()
)
SELECT w.pid, since.at, COALESCE(l.relation::regclass::text, l.locktype),
       b.pid, COALESCE(a.usename, '?'), COALESCE(a.application_name, '?'), COALESCE(a.xact_start, a.backend_start)
  FROM sessions w
  JOIN locks l ON l.pid = w.pid AND NOT l.granted
 CROSS JOIN LATERAL (SELECT COALESCE((to_jsonb(l) ->> 'waitstart')::timestamptz, w.query_start) AS at) AS since
 CROSS JOIN LATERAL pg_catalog.unnest(pg_blocking_pids(w.pid)) AS b (pid)
  LEFT JOIN pg_stat_activity a ON a.pid = b.pid
       -- A process has sessions of one role and name; one of them holds its owner lock.
 WHERE EXISTS (
        SELECT FROM sessions o
          JOIN locks held ON held.pid = o.pid AND held.granted AND held.locktype = 'advisory'
               AND held.classid = @owner_locks::integer::oid AND held.objsubid = 2
         WHERE o.usesysid = w.usesysid AND o.application_name = w.application_name)
   AND since.at < clock_timestamp() - @longer::interval
 ORDER BY since.at, w.pid, b.pid
 LIMIT 100
