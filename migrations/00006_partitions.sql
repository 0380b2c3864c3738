-- What an archive of years and its subscribers need of the tables.
--
-- Every table has a replica identity. Without one, PostgreSQL refuses each UPDATE and
-- DELETE of a table that a publication publishes, and FOR ALL TABLES publishes all.
--
-- The partitions of invocations get FULL rather than their unique index: published
-- through the root, a subscriber's table can then have any key, or none. The whole old
-- row is in the WAL only with wal_level = logical, and only of rows that are deleted.
-- internal/load/days/part.go sets the same for each day and month.

-- +goose Up

-- Setting it locks readers out of the table, for an instant: readers and commits that come
-- wait behind this lock. So it waits half a second for those that are at work, five times,
-- and lets all others pass in between.
-- +goose StatementBegin
DO $$
DECLARE
    part pg_catalog.regclass;
BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', '500ms', true);
    FOR try IN 1 .. 5 LOOP
        BEGIN
            FOR part IN
                SELECT c.oid
                  FROM pg_catalog.pg_class c
                 WHERE c.relreplident <> 'f'
                   AND (c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree('invocations'))
                    OR c.oid IN ('archiver_internal.learned'::pg_catalog.regclass, 'archiver_internal.hourly_figures_due'::pg_catalog.regclass))
            LOOP
                EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY FULL', part);
            END LOOP;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF try = 5 THEN
                RAISE EXCEPTION 'another session goes on using %: when it has ended, migrate again', part USING ERRCODE = 'lock_not_available';
            END IF;
        END;
        PERFORM pg_catalog.pg_sleep(0.2);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- The function is called for each hour of each function. Two queries in it took most of
-- the time of counting figures.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION archiver_internal.histogram_of(buckets integer[], counts bigint[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made  integer[];
    first integer := buckets[1];
    last  integer := buckets[1];
    b     integer;
BEGIN
    IF first IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH b IN ARRAY buckets LOOP
        IF b < first THEN
            first := b;
        ELSIF b > last THEN
            last := b;
        END IF;
    END LOOP;
    made := array_fill(0, ARRAY[last - first + 1], ARRAY[first]);
    FOR i IN 1 .. cardinality(buckets) LOOP
        made[buckets[i]] := made[buckets[i]] + counts[i];
    END LOOP;
    RETURN made;
END
$$;
-- +goose StatementEnd

COMMENT ON COLUMN archiver_internal.windows.verified_at IS
    'When the archive''s count was last equal to the source''s. NULL if they were not compared since the window became complete, or since a record left a window that the same count has compared.';

COMMENT ON SCHEMA archiver_days IS
    'Partitions of invocations: one for each UTC day, or month if it is older than two months; one for requests in flight, one for requests that never started.';
COMMENT ON TABLE invocations IS
    'One row for each request, partitioned by the day or month of its start. The view invocation_history adds the names of functions.';
COMMENT ON TABLE archiver_days.invocations_dated IS
    'Requests that ended and have a start: one partition for each UTC day, or month if it is older than two months.';

-- +goose Down

-- +goose StatementBegin
DO $$
DECLARE
    month text := (
        SELECT pg_catalog.min(c.relname::text)
          FROM pg_catalog.pg_inherits i
          JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'archiver_days.invocations_dated'::pg_catalog.regclass AND c.relname ~ '^invocations_[0-9]{6}$');
BEGIN
    IF month IS NOT NULL THEN
        RAISE EXCEPTION 'the days of % are in one table, and versions before this step only know tables of days: stay at this step, or restore a backup', month;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION archiver_internal.histogram_of(buckets integer[], counts bigint[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made  integer[];
    first integer := (SELECT min(b) FROM unnest(buckets) AS b);
    last  integer := (SELECT max(b) FROM unnest(buckets) AS b);
BEGIN
    IF first IS NULL THEN
        RETURN NULL;
    END IF;
    made := array_fill(0, ARRAY[last - first + 1], ARRAY[first]);
    FOR i IN 1 .. cardinality(buckets) LOOP
        made[buckets[i]] := made[buckets[i]] + counts[i];
    END LOOP;
    RETURN made;
END
$$;
-- +goose StatementEnd

COMMENT ON COLUMN archiver_internal.windows.verified_at IS
    'When the archive''s count was last equal to the source''s. NULL if they were not compared since the window became complete.';
COMMENT ON TABLE archiver_days.invocations_dated IS
    'Requests that ended and have a start: one partition for each UTC day.';
COMMENT ON TABLE invocations IS
    'One row for each request, partitioned by the day of its start. The view invocation_history adds the names of functions.';
COMMENT ON SCHEMA archiver_days IS
    'Partitions of invocations: one for each UTC day, one for requests in flight, one for requests that never started.';

-- +goose StatementBegin
DO $$
DECLARE
    part pg_catalog.regclass;
BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', '500ms', true);
    FOR try IN 1 .. 5 LOOP
        BEGIN
            FOR part IN
                SELECT c.oid
                  FROM pg_catalog.pg_class c
                 WHERE c.relreplident <> 'd'
                   AND (c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree('invocations'))
                    OR c.oid IN ('archiver_internal.learned'::pg_catalog.regclass, 'archiver_internal.hourly_figures_due'::pg_catalog.regclass))
            LOOP
                EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', part);
            END LOOP;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF try = 5 THEN
                RAISE EXCEPTION 'another session goes on using %: when it has ended, migrate again', part USING ERRCODE = 'lock_not_available';
            END IF;
        END;
        PERFORM pg_catalog.pg_sleep(0.2);
    END LOOP;
END
$$;
-- +goose StatementEnd
