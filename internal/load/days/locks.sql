SELECT query, current_setting('max_locks_per_transaction')::integer * sessions AS room, sessions
  FROM (
    -- The view and the functions, with their indexes, are some more.
    SELECT (count(DISTINCT t.relid) + count(x.indexrelid))::integer + 10 AS query,
           current_setting('max_connections')::integer + current_setting('max_prepared_transactions')::integer AS sessions
      FROM pg_partition_tree('invocations') t
      LEFT JOIN pg_index x ON x.indrelid = t.relid) AS l
