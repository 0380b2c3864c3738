-- Figures: what the invocations of each hour amount to, so that a year is drawn
-- from some thousand rows.

-- +goose Up

-- Durations are counted in buckets, eight of them to a doubling: bucket 0 is for
-- less than a millisecond, bucket 1 begins at 1 ms, bucket 9 at 2 ms, and 255,
-- the last, at 44 days. Histograms of any hours and functions add up.
--
-- The middle of a bucket is 4.4% from its ends, at most.
CREATE FUNCTION duration_bucket(seconds double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN seconds < 0.001 THEN 0
            WHEN seconds >= 0.001 THEN LEAST(255, 1 + floor(8 * ln(seconds * 1000) / ln(2::double precision)))::integer
       END
$$;

-- A histogram is an array of counts from the first bucket that has any to the
-- last one: its subscripts are the buckets. NULL is one without any. This makes
-- one of its buckets and their counts.
-- +goose StatementBegin
CREATE FUNCTION histogram_of(buckets integer[], counts bigint[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
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

-- +goose StatementBegin
CREATE FUNCTION histogram_add(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    a_first integer := array_lower(a, 1);
    a_last  integer := array_upper(a, 1);
    b_first integer := array_lower(b, 1);
    b_last  integer := array_upper(b, 1);
BEGIN
    IF a_first IS NULL THEN
        RETURN b;
    ELSIF b_first IS NULL THEN
        RETURN a;
    END IF;
    IF b_first < a_first THEN
        a := array_fill(0::bigint, ARRAY[a_first - b_first], ARRAY[b_first]) || a;
    END IF;
    IF b_last > a_last THEN
        a := a || array_fill(0::bigint, ARRAY[b_last - a_last]);
    END IF;
    FOR i IN b_first .. b_last LOOP
        a[i] := a[i] + b[i];
    END LOOP;
    RETURN a;
END
$$;
-- +goose StatementEnd

CREATE AGGREGATE histogram_sum(bigint[]) (
    SFUNC = histogram_add, STYPE = bigint[], COMBINEFUNC = histogram_add, PARALLEL = SAFE);

-- The least duration, in seconds, that this share of all does not exceed: the
-- middle of its bucket.
-- +goose StatementBegin
CREATE FUNCTION histogram_percentile(histogram bigint[], fraction double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    wanted numeric := ceil(LEAST(GREATEST(fraction, 0), 1)::numeric * (SELECT sum(n) FROM unnest(histogram) AS n));
    passed bigint := 0;
BEGIN
    FOR bucket IN COALESCE(array_lower(histogram, 1), 0) .. COALESCE(array_upper(histogram, 1), -1) LOOP
        passed := passed + histogram[bucket];
        IF passed > 0 AND passed >= wanted THEN
            RETURN CASE bucket WHEN 0 THEN 0 ELSE 0.001 * 2 ^ ((bucket - 0.5::double precision) / 8) END;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- One row a function and hour that has records, the hour being that of their
-- start, as in windows. timed are the settled ones with both times; seconds and
-- the histogram are of those, where an end before the start is as good as none
-- between them.
--
-- Of one function, each hour lies on another block: a year of counts is read from
-- the index alone, so far as a vacuum has come by.
--
-- Rows that retention dropped stay counted: then dropped_to is set, and whatever
-- was archived first since then is not of them. NULL where all rows are there.
CREATE TABLE hourly_figures (
    function_id   integer NOT NULL,
    window_start  timestamptz NOT NULL,
    records       bigint NOT NULL,
    success       bigint NOT NULL,
    fail          bigint NOT NULL,
    discard       bigint NOT NULL,
    in_flight     bigint NOT NULL, -- WAIT and RUNNING
    other         bigint NOT NULL, -- a status that is the source's own word
    timed         bigint NOT NULL DEFAULT 0,
    total_seconds double precision NOT NULL DEFAULT 0,
    max_seconds   double precision,
    histogram     integer[],
    dropped_to    timestamptz,
    PRIMARY KEY (function_id, window_start) INCLUDE (records, success, fail, discard, in_flight, other)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX hourly_figures_window ON hourly_figures (window_start);

-- What of an hour was dropped, beside rows that have come to it since: those
-- that were in flight then, or that were read again.
CREATE TABLE hourly_figures_dropped (
    LIKE hourly_figures INCLUDING DEFAULTS,
    PRIMARY KEY (function_id, window_start)
);

-- Failed and discarded records by error code, '' for none. Of a code that is
-- longer than any should be, the beginning. Those that retention dropped have
-- rows of their own.
CREATE TABLE hourly_error_codes (
    function_id    integer NOT NULL,
    window_start   timestamptz NOT NULL,
    error_code     text COLLATE "C" NOT NULL,
    dropped        boolean NOT NULL DEFAULT false,
    records        bigint NOT NULL,
    first_seen     timestamptz NOT NULL,
    last_seen      timestamptz NOT NULL,
    sample_message text, -- of the last one that has any, the beginning
    PRIMARY KEY (function_id, window_start, error_code, dropped)
);
CREATE INDEX hourly_error_codes_window ON hourly_error_codes (window_start);

-- The same as hourly_figures by UTC day. complete_hours are those that were
-- complete when the day was dropped, NULL while its windows can be asked.
CREATE TABLE daily_figures (
    function_id    integer NOT NULL,
    day            date NOT NULL,
    records        bigint NOT NULL,
    success        bigint NOT NULL,
    fail           bigint NOT NULL,
    discard        bigint NOT NULL,
    in_flight      bigint NOT NULL,
    other          bigint NOT NULL,
    timed          bigint NOT NULL DEFAULT 0,
    total_seconds  double precision NOT NULL DEFAULT 0,
    max_seconds    double precision,
    histogram      integer[],
    complete_hours smallint,
    PRIMARY KEY (function_id, day)
);
CREATE INDEX daily_figures_day ON daily_figures (day);

-- The same as hourly_figures for all functions of a source together.
CREATE TABLE source_figures (
    provider      text COLLATE "C" NOT NULL,
    region        text COLLATE "C" NOT NULL,
    project_id    text COLLATE "C" NOT NULL,
    window_start  timestamptz NOT NULL,
    functions     integer NOT NULL, -- that have records
    records       bigint NOT NULL,
    success       bigint NOT NULL,
    fail          bigint NOT NULL,
    discard       bigint NOT NULL,
    in_flight     bigint NOT NULL,
    other         bigint NOT NULL,
    timed         bigint NOT NULL DEFAULT 0,
    total_seconds double precision NOT NULL DEFAULT 0,
    max_seconds   double precision,
    histogram     integer[],
    PRIMARY KEY (provider, region, project_id, window_start)
);

-- Hours whose rows have changed since they were counted, as often as they have.
-- A note is written in the transaction of the change and deleted in that of the
-- count (see internal/load/figures.go): a crash loses none. Nobody waits for
-- another one's notes: there is no key.
CREATE TABLE hourly_figures_due (
    function_id  integer NOT NULL,
    window_start timestamptz NOT NULL
);
CREATE INDEX hourly_figures_due_window ON hourly_figures_due (window_start);

-- What is there already is counted after the next run.
INSERT INTO hourly_figures_due
SELECT function_id, window_start
  FROM windows
 WHERE records > 0;

CREATE VIEW function_hourly AS
SELECT f.provider,
       f.region,
       f.project_id,
       f.function_urn,
       f.function_name,
       h.window_start,
       h.records,
       h.success,
       h.fail,
       h.discard,
       h.in_flight,
       h.other,
       (h.fail + h.discard)::double precision / NULLIF(h.records - h.in_flight, 0) AS failure_rate,
       h.timed,
       h.total_seconds,
       h.total_seconds / NULLIF(h.timed, 0) AS mean_seconds,
       LEAST(histogram_percentile(h.histogram, 0.5), h.max_seconds) AS p50_seconds,
       LEAST(histogram_percentile(h.histogram, 0.95), h.max_seconds) AS p95_seconds,
       LEAST(histogram_percentile(h.histogram, 0.99), h.max_seconds) AS p99_seconds,
       h.max_seconds,
       h.histogram
  FROM hourly_figures h
  JOIN functions f USING (function_id);

-- One row a function and day from the first to the last that was planned or has
-- records. Hours in which the source kept none are not complete (see
-- window_states). What is not asked for of this is not worked out.
CREATE VIEW function_daily AS
SELECT f.provider,
       f.region,
       f.project_id,
       f.function_urn,
       f.function_name,
       d.day::date AS day,
       COALESCE(g.records, 0) AS records,
       COALESCE(g.success, 0) AS success,
       COALESCE(g.fail, 0) AS fail,
       COALESCE(g.discard, 0) AS discard,
       COALESCE(g.in_flight, 0) AS in_flight,
       COALESCE(g.other, 0) AS other,
       (g.fail + g.discard)::double precision / NULLIF(g.records - g.in_flight, 0) AS failure_rate,
       COALESCE(g.timed, 0) AS timed,
       COALESCE(g.total_seconds, 0) AS total_seconds,
       g.total_seconds / NULLIF(g.timed, 0) AS mean_seconds,
       LEAST(histogram_percentile(g.histogram, 0.5), g.max_seconds) AS p50_seconds,
       LEAST(histogram_percentile(g.histogram, 0.95), g.max_seconds) AS p95_seconds,
       LEAST(histogram_percentile(g.histogram, 0.99), g.max_seconds) AS p99_seconds,
       g.max_seconds,
       g.histogram,
       GREATEST(g.complete_hours, (
	SELECT count(*)
	  FROM windows w
	 WHERE w.function_id = f.function_id AND w.state = 'complete'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
       - CASE WHEN EXISTS (
	SELECT
	  FROM notification_setting_versions s
	 WHERE s.function_urn = f.function_urn AND NOT s.enable_async_status_log) THEN (
	SELECT count(*)
	  FROM window_states w
	 WHERE w.function_id = f.function_id AND w.state = 'off'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
	 ELSE 0 END)::integer AS complete_hours
  FROM functions f
  LEFT JOIN window_totals t USING (function_id)
 CROSS JOIN LATERAL generate_series(
	LEAST((SELECT min(day) FROM daily_figures WHERE function_id = f.function_id)::timestamp,
	      date_trunc('day', t.planned_from AT TIME ZONE 'UTC')),
	GREATEST((SELECT max(day) FROM daily_figures WHERE function_id = f.function_id)::timestamp,
	         date_trunc('day', (t.planned_to - interval '1 hour') AT TIME ZONE 'UTC')),
	interval '1 day') AS d (day)
  LEFT JOIN daily_figures g ON g.function_id = f.function_id AND g.day = d.day::date;

CREATE VIEW source_hourly AS
SELECT provider,
       region,
       project_id,
       window_start,
       functions,
       records,
       success,
       fail,
       discard,
       in_flight,
       other,
       (fail + discard)::double precision / NULLIF(records - in_flight, 0) AS failure_rate,
       timed,
       total_seconds,
       total_seconds / NULLIF(timed, 0) AS mean_seconds,
       LEAST(histogram_percentile(histogram, 0.5), max_seconds) AS p50_seconds,
       LEAST(histogram_percentile(histogram, 0.95), max_seconds) AS p95_seconds,
       LEAST(histogram_percentile(histogram, 0.99), max_seconds) AS p99_seconds,
       max_seconds,
       histogram
  FROM source_figures;

CREATE VIEW error_codes AS
SELECT f.provider,
       f.region,
       f.project_id,
       f.function_urn,
       f.function_name,
       e.error_code,
       e.records,
       e.first_seen,
       e.last_seen,
       e.sample_message
  FROM (
	SELECT function_id,
	       NULLIF(error_code, '') AS error_code,
	       sum(records)::bigint AS records,
	       min(first_seen) AS first_seen,
	       max(last_seen) AS last_seen,
	       (array_agg(sample_message ORDER BY last_seen DESC) FILTER (WHERE sample_message IS NOT NULL))[1] AS sample_message
	  FROM hourly_error_codes h
	 GROUP BY function_id, h.error_code) AS e
  JOIN functions f USING (function_id);

-- failed_at is when a record ended, or began, or, of one that never did, the
-- hour it was found in.
CREATE VIEW failures AS
SELECT f.provider,
       f.region,
       f.project_id,
       f.function_urn,
       f.function_name,
       i.request_id,
       i.status,
       COALESCE(i.source_status, i.status) AS source_status,
       i.error_code,
       i.error_message,
       COALESCE(i.end_time, i.start_time, i.queried_window) AS failed_at,
       i.start_time,
       i.end_time,
       EXTRACT(EPOCH FROM i.end_time - i.start_time)::double precision AS duration_seconds,
       date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC') AS window_start
  FROM invocations i
  JOIN functions f USING (function_id)
 WHERE i.status IN ('FAIL', 'DISCARD');

-- +goose Down

DROP VIEW failures;
DROP VIEW error_codes;
DROP VIEW source_hourly;
DROP VIEW function_daily;
DROP VIEW function_hourly;
DROP TABLE hourly_figures_due;
DROP TABLE source_figures;
DROP TABLE daily_figures;
DROP TABLE hourly_error_codes;
DROP TABLE hourly_figures_dropped;
DROP TABLE hourly_figures;
DROP FUNCTION histogram_percentile;
DROP AGGREGATE histogram_sum(bigint[]);
DROP FUNCTION histogram_add;
DROP FUNCTION histogram_of;
DROP FUNCTION duration_bucket;
