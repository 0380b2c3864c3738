-- Why the days of a month stay: a publication of each table, a partition of the month that
-- is not among these days, or a slot of a subscriber; all are empty if the days may be merged.
SELECT COALESCE((SELECT min(pubname::text) FROM (
            SELECT pubname FROM pg_publication_tables WHERE schemaname = @schema
            UNION ALL
            SELECT pubname FROM pg_publication WHERE puballtables) AS p), '') AS publication,
       COALESCE((SELECT min(relname::text) FROM (
            SELECT c.relname,
                   -- As in FOR VALUES FROM ('2026-03-14 00:00:00+00') TO (MAXVALUE); NULL for DEFAULT.
                   regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \((?:MINVALUE|''(.*?)'')\) TO \((?:MAXVALUE|''(.*?)'')\)') AS bounds
              FROM pg_inherits i
              JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'invocations_dated'::regclass AND c.relname <> ALL (@days::text[])) AS p
         WHERE COALESCE(bounds[1]::timestamptz, '-infinity') < @to AND COALESCE(bounds[2]::timestamptz, 'infinity') > @from
           AND bounds IS NOT NULL), '') AS partition,
       -- Before PostgreSQL 15, a process that has sent no rows of a table, because the table
       -- was no partition yet, goes on to send none of them.
       COALESCE((SELECT min(slot_name::text) FROM pg_replication_slots
         WHERE database = current_database() AND plugin = 'pgoutput'
           AND current_setting('server_version_num')::integer < 150000), '') AS slot
