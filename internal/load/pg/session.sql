-- Makes the session, but for search_path and what inTime sets. Until it is known who may
-- create objects in the schemas of the archive, statements meet nothing but pg_catalog.
SET search_path = pg_catalog, pg_temp;

SELECT set_config(w.name, w.value, false)
  FROM (VALUES
        ('application_name', @application),
        ('client_encoding', 'UTF8'),
        ('client_min_messages', 'notice'),
        -- What statements mean.
        ('default_transaction_isolation', 'read committed'),
        ('default_transaction_read_only', 'off'),
        ('default_transaction_deferrable', 'off'),
        ('session_replication_role', 'origin'),
        -- What was committed is kept when the server crashes, and by a synchronous standby.
        ('synchronous_commit', 'on'),
        ('exit_on_error', 'off'),
        ('gin_fuzzy_search_limit', '0'),
        ('default_table_access_method', 'heap'),
        -- A policy that hides rows is an error, and no shorter answer.
        ('row_security', 'off'),
        ('standard_conforming_strings', 'on'),
        ('backslash_quote', 'safe_encoding'),
        ('array_nulls', 'on'),
        ('transform_null_equals', 'off'),
        ('check_function_bodies', 'on'),
        ('restrict_nonsystem_relation_kind', ''),
        ('quote_all_identifiers', 'off'),
        -- How values are written.
        ('TimeZone', 'UTC'),
        ('timezone_abbreviations', 'Default'),
        ('DateStyle', 'ISO, MDY'),
        ('IntervalStyle', 'postgres'),
        ('extra_float_digits', '1'),
        ('bytea_output', 'hex'),
        -- How long statements may take: each that has a limit says so itself.
        ('lock_timeout', '0'),
        ('idle_session_timeout', '0'),
        -- The server ends the session of a process that stops within a commit once the
        -- claims of that process have run out: its locks end then. The same if the machine
        -- of the process is gone, also within a COPY, where the session is not idle. A Unix
        -- socket ignores the settings of TCP.
        ('idle_in_transaction_session_timeout', @life),
        ('tcp_user_timeout', @life),
        ('tcp_keepalives_idle', '15'),
        ('tcp_keepalives_interval', '10'),
        ('tcp_keepalives_count', '3'),
        -- A plan must know the days of a query to leave out the other partitions. A
        -- generic plan would lock every partition.
        ('plan_cache_mode', 'force_custom_plan'),
        ('enable_partition_pruning', 'on'),
        -- No statement runs long enough for compilation to pay.
        ('jit', 'off')
       ) AS w (name, value)
  -- Old servers lack some. Only a superuser may set session_replication_role, and
  -- nearly everywhere it is right already.
  JOIN pg_settings s ON s.name = w.name AND s.setting <> w.value
 WHERE s.name <> 'synchronous_commit' OR s.setting <> 'remote_apply'; -- that waits for more

-- The schemas of the archive.
WITH archives AS (
    SELECT people.nspname::text AS people, days.nspname::text AS days
      FROM pg_inherits i
      JOIN pg_class leaf ON leaf.oid = i.inhrelid AND leaf.relname = 'invocations_settled'
      JOIN pg_class root ON root.oid = i.inhparent AND root.relname = 'invocations'
      JOIN pg_namespace days ON days.oid = leaf.relnamespace
      JOIN pg_namespace people ON people.oid = root.relnamespace
),
chosen AS (
    -- The archive in the schema that was asked for; or the one that was made when
    -- search_path named its schema, if no schema was asked for; or none yet.
    SELECT people, regexp_replace(days, '_days$', '_internal') AS internal, days, NULL AS taken
      FROM archives
     WHERE people = @asked OR @asked = 'public' AND days = @days
     UNION ALL
    SELECT @asked, @internal, @days, (SELECT people FROM archives WHERE days = @days)
)
SELECT people, internal, days, taken FROM chosen ORDER BY taken IS NOT NULL, people <> @asked LIMIT 1;
