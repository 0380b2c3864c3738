-- Functions that meet no objects of other schemas, and what the role archiver_reader needs
-- for all commands that only read.

-- +goose Up

-- Without pg_temp at its end, temporary tables would be looked for first.
ALTER FUNCTION archiver_internal.add_window_days() SET search_path = pg_catalog, archiver_internal, pg_temp;
ALTER FUNCTION archiver_internal.empty_window_days() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION archiver_internal.add_window_writer() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION archiver_internal.allow_reading(regclass[]) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION archiver_internal.histogram_of(integer[], bigint[]) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION archiver_internal.histogram_add(bigint[], bigint[]) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION histogram_percentile(bigint[], double precision) SET search_path = pg_catalog, pg_temp;

-- With a search_path of its own, the function could not be inlined: it is called for
-- every record.
CREATE OR REPLACE FUNCTION archiver_internal.duration_bucket(seconds double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN seconds OPERATOR(pg_catalog.<) 0.001 THEN 0
            WHEN seconds OPERATOR(pg_catalog.>=) 0.001 THEN LEAST(255, 1 OPERATOR(pg_catalog.+) pg_catalog.floor(
                (8 OPERATOR(pg_catalog.*) pg_catalog.ln(seconds OPERATOR(pg_catalog.*) 1000))
                OPERATOR(pg_catalog./) pg_catalog.ln(2::pg_catalog.float8)))::pg_catalog.int4
       END
$$;

SELECT archiver_internal.allow_reading('archiver_internal.goose_db_version', 'archiver_internal.walks');

-- +goose Down

CREATE OR REPLACE FUNCTION archiver_internal.duration_bucket(seconds double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN seconds < 0.001 THEN 0
            WHEN seconds >= 0.001 THEN LEAST(255, 1 + floor(8 * ln(seconds * 1000) / ln(2::double precision)))::integer
       END
$$;

ALTER FUNCTION archiver_internal.add_window_days() SET search_path = archiver_internal;
ALTER FUNCTION archiver_internal.empty_window_days() RESET search_path;
ALTER FUNCTION archiver_internal.add_window_writer() RESET search_path;
ALTER FUNCTION archiver_internal.allow_reading(regclass[]) RESET search_path;
ALTER FUNCTION archiver_internal.histogram_of(integer[], bigint[]) RESET search_path;
ALTER FUNCTION archiver_internal.histogram_add(bigint[], bigint[]) RESET search_path;
ALTER FUNCTION histogram_percentile(bigint[], double precision) RESET search_path;
