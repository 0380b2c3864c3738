-- How old the snapshots of the transactions @before may be, and when the first of these
-- transactions began; NULL if none of them has a snapshot. What they do is hidden from a
-- role that has no rights of theirs.
SELECT max(CASE WHEN hidden THEN 2147483647 ELSE age(backend_xmin) END) AS age,
       min(CASE WHEN hidden THEN now() - interval '1 day' ELSE xact_start END) AS began
  FROM (
    SELECT a.backend_xmin, a.xact_start, a.query = '<insufficient privilege>' AS hidden, a.backend_type
      FROM pg_locks l
      JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'virtualxid' AND l.virtualtransaction = ANY (@before::text[])
       AND a.datname = current_database() AND a.usesysid IS NOT NULL) AS t
 WHERE hidden OR backend_type = 'client backend' AND backend_xmin IS NOT NULL
