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

ALTER TABLE archiver_internal.learned REPLICA IDENTITY FULL;
ALTER TABLE archiver_internal.hourly_figures_due REPLICA IDENTITY FULL;

-- +goose StatementBegin
DO $$
DECLARE
    part pg_catalog.regclass;
BEGIN
    FOR part IN SELECT relid FROM pg_catalog.pg_partition_tree('invocations') LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY FULL', part);
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

COMMENT ON SCHEMA archiver_days IS
    'Partitions of invocations: one for each UTC day, or month if it is older than two months; one for requests in flight, one for requests that never started.';
COMMENT ON TABLE invocations IS
    'One row for each request, partitioned by the day or month of its start. The view invocation_history adds the names of functions.';
COMMENT ON TABLE archiver_days.invocations_dated IS
    'Requests that ended and have a start: one partition for each UTC day, or month if it is older than two months.';

-- +goose Down

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
    FOR part IN SELECT relid FROM pg_catalog.pg_partition_tree('invocations') LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', part);
    END LOOP;
END
$$;
-- +goose StatementEnd

ALTER TABLE archiver_internal.hourly_figures_due REPLICA IDENTITY DEFAULT;
ALTER TABLE archiver_internal.learned REPLICA IDENTITY DEFAULT;
