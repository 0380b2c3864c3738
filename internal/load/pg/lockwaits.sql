-- The sessions of this program and role that wait for a lock since a while, and who keeps
-- them waiting. PostgreSQL 13 does not say since when a session waits: a statement waits
-- since it began then. What other roles do is visible to some roles only.
SELECT w.pid, since.at, COALESCE(l.relation::regclass::text, l.locktype),
       b.pid, COALESCE(a.usename, '?'), COALESCE(a.application_name, '?'), COALESCE(a.xact_start, a.backend_start)
  FROM pg_stat_activity w
  JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted
 CROSS JOIN LATERAL (SELECT COALESCE((to_jsonb(l) ->> 'waitstart')::timestamptz, w.query_start) AS at) AS since
 CROSS JOIN LATERAL pg_catalog.unnest(pg_blocking_pids(w.pid)) AS b (pid)
  LEFT JOIN pg_stat_activity a ON a.pid = b.pid
 WHERE w.datname = current_database() AND w.usename = session_user
   AND w.application_name = current_setting('application_name')
   AND since.at < clock_timestamp() - @longer::interval
 ORDER BY since.at, w.pid, b.pid
