-- Windows that are expired, what was learned of the sources, and their lists of functions.
--
--   1. functions that are missing from the list
--   2. windows that are expired, and windows that wait
--   3. days and totals
--   4. what was learned of the sources, and their lists of functions
--   5. who may read them

-- +goose Up

-- 1. Functions.

ALTER TABLE functions
    ADD COLUMN missing_since timestamptz,
    ADD COLUMN gone_asked_at timestamptz;

COMMENT ON COLUMN functions.missing_since IS
    'Since when the source''s list of functions is whole and does not name the function. NULL while the list names it.';
COMMENT ON COLUMN functions.gone_asked_at IS
    'If the function is gone: when the source was last asked for its records.';

-- 2. Windows.

ALTER TABLE archiver_internal.windows
    DROP CONSTRAINT windows_state_check,
    ADD CONSTRAINT windows_state_check
        CHECK (state IN ('pending', 'partial', 'complete', 'short', 'failed', 'gone', 'expired')),
    ADD COLUMN missed          boolean NOT NULL DEFAULT false,
    ADD COLUMN unproven        boolean NOT NULL DEFAULT false,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN refused_from    timestamptz,
    ADD COLUMN refused_to      timestamptz,
    ADD COLUMN stuck           smallint NOT NULL DEFAULT 0,
    ADD COLUMN retry_at        timestamptz;

DROP INDEX archiver_internal.windows_open;
CREATE INDEX windows_open ON archiver_internal.windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone', 'expired');
DROP INDEX archiver_internal.windows_erring;
CREATE INDEX windows_erring ON archiver_internal.windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone', 'expired') AND last_error IS NOT NULL;
CREATE INDEX windows_stuck ON archiver_internal.windows (function_id, window_start)
    WHERE retry_at IS NOT NULL;
CREATE INDEX windows_missed ON archiver_internal.windows (function_id, window_start)
    WHERE state = 'expired' AND missed AND acknowledged_at IS NULL;
CREATE INDEX windows_unproven ON archiver_internal.windows (function_id, (completed_at - window_start))
    WHERE state = 'expired' AND unproven;

COMMENT ON COLUMN archiver_internal.windows.state IS
    'pending (known, not read), partial (begun), complete, short (the source counts more records than it returns), failed, gone (the function does not answer), or expired (the source may have forgotten records: what came is kept).';
COMMENT ON COLUMN archiver_internal.windows.missed IS
    'If the window is expired: whether it was due while the source still had its records.';
COMMENT ON COLUMN archiver_internal.windows.unproven IS
    'If the window is expired: whether the source gave nothing, and has given no record as old. If the source gives one later, the window becomes complete.';
COMMENT ON COLUMN archiver_internal.windows.acknowledged_at IS
    'When an operator acknowledged that the window was missed.';
COMMENT ON COLUMN archiver_internal.windows.refused_from IS
    'Beginning of the smallest question of the window that is known to fail. NULL if there is none.';
COMMENT ON COLUMN archiver_internal.windows.refused_to IS
    'End of the smallest question of the window that is known to fail.';
COMMENT ON COLUMN archiver_internal.windows.stuck IS
    'How often in a row the window failed or was short, and no smaller question could be asked.';
COMMENT ON COLUMN archiver_internal.windows.retry_at IS
    'If the window is stuck: until when run and once do not ask for it.';

CREATE OR REPLACE VIEW archiver_internal.window_states AS
SELECT w.function_id,
       f.provider,
       f.function_urn,
       w.window_start,
       CASE WHEN o.off_from IS NULL THEN w.state ELSE 'off' END AS state,
       w.records,
       w.pending,
       w.source_count,
       w.attempts,
       w.last_error,
       w.completed_at,
       w.rejected,
       CASE WHEN w.state = 'expired' THEN CASE WHEN w.missed THEN 'missed' ELSE 'too old' END END AS expired_reason,
       w.acknowledged_at,
       w.refused_from,
       w.refused_to,
       w.retry_at
  FROM archiver_internal.windows w
  JOIN functions f USING (function_id)
  LEFT JOIN status_log_off o
    ON o.function_urn = f.function_urn AND o.provider = f.provider AND o.region = f.region AND o.project_id = f.project_id
   AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
   AND o.off_from <= w.window_start AND (o.off_to IS NULL OR o.off_to >= w.window_start + interval '1 hour');

CREATE OR REPLACE VIEW window_coverage AS
SELECT provider, function_urn, window_start, state, records, pending, source_count,
       attempts, last_error, completed_at, rejected, expired_reason, acknowledged_at,
       refused_from, refused_to, retry_at
  FROM archiver_internal.window_states;

COMMENT ON COLUMN window_coverage.state IS
    'pending (known, not read), partial (begun), complete, short (the source counts more records than it returns), failed, gone (the function does not answer), expired (the source may have forgotten records: what came is kept), or off (complete, but the source kept no records for all of the hour).';
COMMENT ON COLUMN window_coverage.completed_at IS
    'When the window became complete. If it is expired: when it was read.';
COMMENT ON COLUMN window_coverage.expired_reason IS
    'If the window is expired: ''too old'' (the source may have forgotten its records before the archiver first saw the function) or ''missed'' (it was due while the source still had its records). NULL in all other states.';

-- 3. Days and totals.

ALTER TABLE archiver_internal.window_days
    ADD COLUMN expired integer NOT NULL DEFAULT 0,
    ADD COLUMN missed  integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN archiver_internal.window_days.expired IS
    'Windows whose records the source may have forgotten.';
COMMENT ON COLUMN archiver_internal.window_days.missed IS
    'Expired windows that were due while the source still had their records, and that no operator has acknowledged.';

CREATE OR REPLACE VIEW archiver_internal.windows_before AS
SELECT function_id, window_start, state, planned, records, pending, rejected, missed, acknowledged_at
  FROM archiver_internal.windows
 WHERE false;
CREATE OR REPLACE VIEW archiver_internal.windows_after AS
SELECT * FROM archiver_internal.windows_before;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION archiver_internal.add_window_days() RETURNS trigger LANGUAGE plpgsql
SET search_path = archiver_internal AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM windows_after) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO window_days AS t (
           function_id, day, windows, unplanned, complete, empty, in_flight, short, failed, gone, expired, missed, records, pending, rejected)
    SELECT d.*
      FROM (
        SELECT function_id, day,
               COALESCE(sum(n) FILTER (WHERE planned), 0) AS windows,
               COALESCE(sum(n) FILTER (WHERE NOT planned), 0) AS unplanned,
               COALESCE(sum(n) FILTER (WHERE state = 'complete'), 0) AS complete,
               COALESCE(sum(n) FILTER (WHERE state = 'complete' AND records = 0 AND rejected = 0), 0) AS empty,
               COALESCE(sum(n) FILTER (WHERE state = 'complete' AND pending > 0), 0) AS in_flight,
               COALESCE(sum(n) FILTER (WHERE state = 'short'), 0) AS short,
               COALESCE(sum(n) FILTER (WHERE state = 'failed'), 0) AS failed,
               COALESCE(sum(n) FILTER (WHERE state = 'gone'), 0) AS gone,
               COALESCE(sum(n) FILTER (WHERE state = 'expired'), 0) AS expired,
               COALESCE(sum(n) FILTER (WHERE state = 'expired' AND missed AND acknowledged_at IS NULL), 0) AS missed,
               sum(n * records) AS records,
               sum(n * pending) AS pending,
               sum(n * rejected) AS rejected
          FROM (
            SELECT 1 AS n, date_trunc('day', window_start, 'UTC') AS day, function_id, state, planned, records, pending, rejected, missed, acknowledged_at
              FROM windows_after
             UNION ALL
            SELECT -1, date_trunc('day', window_start, 'UTC'), function_id, state, planned, records, pending, rejected, missed, acknowledged_at
              FROM windows_before
          ) AS w
         GROUP BY function_id, day
      ) AS d
     WHERE (windows, unplanned, complete, empty, in_flight, short, failed, gone, expired, missed, records, pending, rejected)
           <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
     ORDER BY function_id, day
        ON CONFLICT (function_id, day) DO UPDATE
       SET windows = t.windows + EXCLUDED.windows,
           unplanned = t.unplanned + EXCLUDED.unplanned,
           complete = t.complete + EXCLUDED.complete,
           empty = t.empty + EXCLUDED.empty,
           in_flight = t.in_flight + EXCLUDED.in_flight,
           short = t.short + EXCLUDED.short,
           failed = t.failed + EXCLUDED.failed,
           gone = t.gone + EXCLUDED.gone,
           expired = t.expired + EXCLUDED.expired,
           missed = t.missed + EXCLUDED.missed,
           records = t.records + EXCLUDED.records,
           pending = t.pending + EXCLUDED.pending,
           rejected = t.rejected + EXCLUDED.rejected;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM window_days d
         USING (SELECT DISTINCT function_id, date_trunc('day', window_start, 'UTC') AS day FROM windows_before) AS w
         WHERE d.function_id = w.function_id AND d.day = w.day AND d.windows = 0 AND d.unplanned = 0;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE OR REPLACE VIEW archiver_internal.window_totals AS
SELECT function_id, windows, complete, windows - complete - gone - expired AS open, short, failed, gone, records, pending, rejected,
       (SELECT min(window_start)
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND planned
           AND window_start >= first_planned AND window_start < first_planned + interval '24 hours') AS planned_from,
       (SELECT max(window_start) + interval '1 hour'
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND planned
           AND window_start >= last_planned AND window_start < last_planned + interval '24 hours') AS planned_to,
       (SELECT min(window_start)
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND state = 'complete'
           AND window_start >= first_complete AND window_start < first_complete + interval '24 hours') AS complete_from,
       (SELECT max(window_start) + interval '1 hour'
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND state = 'complete'
           AND window_start >= last_complete AND window_start < last_complete + interval '24 hours') AS complete_to,
       (SELECT max(window_start) + interval '1 hour'
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND records > 0
           AND window_start >= last_recorded AND window_start < last_recorded + interval '24 hours') AS recorded_to,
       expired, missed,
       (SELECT min(window_start)
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND state = 'expired'
           AND window_start >= first_expired AND window_start < first_expired + interval '24 hours') AS expired_from,
       (SELECT max(window_start) + interval '1 hour'
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND state = 'expired'
           AND window_start >= last_expired AND window_start < last_expired + interval '24 hours') AS expired_to
  FROM (
    SELECT function_id, sum(windows) AS windows, sum(complete) AS complete, sum(short) AS short, sum(failed) AS failed,
           sum(gone) AS gone, sum(records)::bigint AS records, sum(pending) AS pending, sum(rejected) AS rejected,
           min(day) FILTER (WHERE windows > 0) AS first_planned, max(day) FILTER (WHERE windows > 0) AS last_planned,
           min(day) FILTER (WHERE complete > 0) AS first_complete, max(day) FILTER (WHERE complete > 0) AS last_complete,
           max(day) FILTER (WHERE records > 0) AS last_recorded,
           sum(expired) AS expired, sum(missed) AS missed,
           min(day) FILTER (WHERE expired > 0) AS first_expired, max(day) FILTER (WHERE expired > 0) AS last_expired
      FROM archiver_internal.window_days
     GROUP BY function_id) AS d;

COMMENT ON COLUMN archiver_internal.window_totals.open IS
    'Planned windows that are neither complete nor gone nor expired.';
COMMENT ON COLUMN archiver_internal.window_totals.expired IS
    'Windows whose records the source may have forgotten.';
COMMENT ON COLUMN archiver_internal.window_totals.missed IS
    'Expired windows that were due while the source still had their records, and that no operator has acknowledged.';
COMMENT ON COLUMN archiver_internal.window_totals.expired_from IS
    'Beginning of the first expired window.';
COMMENT ON COLUMN archiver_internal.window_totals.expired_to IS
    'End of the last expired window.';

-- 4. The sources.

-- What was learned of a source is believed for a day (archive.LearnedLife): see
-- internal/archive/learned.go. function_id is 0 if it concerns the whole source.
CREATE TABLE archiver_internal.learned (
    provider    text COLLATE "C" NOT NULL,
    region      text COLLATE "C" NOT NULL,
    project_id  text COLLATE "C" NOT NULL,
    what        text COLLATE "C" NOT NULL,
    function_id integer NOT NULL,
    value       bigint NOT NULL,
    span_from   timestamptz,
    span_to     timestamptz,
    proven      boolean NOT NULL,
    learned_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX learned_key ON archiver_internal.learned
    (provider, region, project_id, what, function_id, (CASE what WHEN 'count' THEN value ELSE 0 END));

COMMENT ON TABLE archiver_internal.learned IS
    'What the archiver has learned of the sources. The view source_limits adds words and units.';
COMMENT ON COLUMN archiver_internal.learned.what IS
    'What was learned: proven, ceiling, range, page, age, edge, rate or count.';
COMMENT ON COLUMN archiver_internal.learned.function_id IS
    'Number of the function: see functions. 0 if it was learned of the whole source.';
COMMENT ON COLUMN archiver_internal.learned.value IS
    'Records (proven, ceiling, page, count), seconds (range, age, edge), or calls in 1,000 seconds (rate).';
COMMENT ON COLUMN archiver_internal.learned.span_from IS
    'Of a count: beginning of the time that was asked for.';
COMMENT ON COLUMN archiver_internal.learned.span_to IS
    'Of a count: end of the time that was asked for.';
COMMENT ON COLUMN archiver_internal.learned.proven IS
    'Of a count: whether it was proven.';
COMMENT ON COLUMN archiver_internal.learned.learned_at IS
    'When it was learned.';

CREATE VIEW source_limits AS
SELECT l.provider,
       l.region,
       l.project_id,
       f.function_urn,
       f.function_name,
       l.what,
       CASE l.what WHEN 'rate' THEN l.value / 1000.0::double precision ELSE l.value END AS value,
       m.unit,
       m.meaning,
       l.learned_at,
       l.learned_at + interval '24 hours' AS believed_until
  FROM archiver_internal.learned l
  JOIN (VALUES
        ('proven', 'records', 'the largest count of the source that was proven'),
        ('ceiling', 'records', 'the smallest count, or length of a list, at which the source cuts off'),
        ('range', 'seconds', 'the widest range of time that the source answers'),
        ('page', 'records', 'the largest page that the source answers'),
        ('age', 'seconds', 'the greatest age of a record that the source has given'),
        ('edge', 'seconds', 'the greatest age of a beginning that the source accepts in a question'),
        ('rate', 'calls per second', 'how many calls the source accepts')
    ) AS m (what, unit, meaning) USING (what)
  LEFT JOIN functions f ON f.function_id = l.function_id
 WHERE l.value > 0; -- 0: what was learned before does not hold any more

COMMENT ON VIEW source_limits IS
    'What the archiver has learned of each source: limits that its questions keep to. archiver check and archiver status show them.';
COMMENT ON COLUMN source_limits.function_urn IS
    'The function of which it was learned. NULL if it was learned of the whole source.';
COMMENT ON COLUMN source_limits.function_name IS
    'Name of this function.';
COMMENT ON COLUMN source_limits.what IS
    'What was learned: proven, ceiling, range, page, age, edge or rate.';
COMMENT ON COLUMN source_limits.value IS
    'The limit, in the unit of the column unit.';
COMMENT ON COLUMN source_limits.unit IS
    'Unit of the value.';
COMMENT ON COLUMN source_limits.meaning IS
    'The same as what, in words.';
COMMENT ON COLUMN source_limits.learned_at IS
    'When it was learned.';
COMMENT ON COLUMN source_limits.believed_until IS
    'Until when the archiver believes it. Then it is learned again.';

CREATE TABLE source_lists (
    provider   text COLLATE "C" NOT NULL,
    region     text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    listed_at  timestamptz NOT NULL,
    whole      boolean NOT NULL,
    listed     integer NOT NULL,
    counted    integer,
    whole_at   timestamptz,
    last_error text,
    PRIMARY KEY (provider, region, project_id)
);

COMMENT ON TABLE source_lists IS
    'One row for each source: whether its list of functions was whole when it was last read.';
COMMENT ON COLUMN source_lists.listed_at IS
    'When the list was last read.';
COMMENT ON COLUMN source_lists.whole IS
    'Whether the list was whole. If not, functions that it does not name are not archived.';
COMMENT ON COLUMN source_lists.listed IS
    'Number of functions that the list named.';
COMMENT ON COLUMN source_lists.counted IS
    'If the list was not whole: number of functions that the source counts. NULL if the source gives no count.';
COMMENT ON COLUMN source_lists.whole_at IS
    'When the list was last whole. NULL for never.';
COMMENT ON COLUMN source_lists.last_error IS
    'Why the list was not whole. NULL if it was.';

COMMENT ON COLUMN invocations.extra IS
    'Fields that have no column, under the source''s own names. archiver.start_time and archiver.end_time are times that cannot be true: more than a year from the hours that were asked for.';
COMMENT ON COLUMN invocation_history.extra IS
    'Fields that have no column, under the source''s own names. archiver.start_time and archiver.end_time are times that cannot be true: more than a year from the hours that were asked for.';

-- Columns that mean the same as in the tables of 00001_schema.sql.
-- +goose StatementBegin
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT a.attrelid::regclass AS relation, a.attname, m.meaning
          FROM (VALUES
                ('provider', 'Cloud service: functiongraph or functioncompute.'),
                ('region', 'Region of the service, as configured.'),
                ('project_id', 'Project of the account; the account itself if the service has no projects.'),
                ('missed', 'See archiver_internal.windows.missed.'),
                ('acknowledged_at', 'When an operator acknowledged that the window was missed.'),
                ('refused_from', 'Beginning of the smallest question of the window that is known to fail. NULL if there is none.'),
                ('refused_to', 'End of the smallest question of the window that is known to fail.'),
                ('retry_at', 'If the window is stuck: until when run and once do not ask for it.'),
                ('expired_reason', 'See window_coverage.expired_reason.')
            ) AS m (attname, meaning)
          JOIN pg_attribute a ON a.attname = m.attname AND a.attnum > 0
         WHERE col_description(a.attrelid, a.attnum) IS NULL
           AND a.attrelid = ANY ('{
                archiver_internal.window_states, window_coverage, archiver_internal.windows_before, archiver_internal.windows_after,
                archiver_internal.learned, source_limits, source_lists}'::regclass[])
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.relation, c.attname, c.meaning);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- 5. Who may read them.

SELECT archiver_internal.allow_reading('archiver_internal.learned', 'source_limits', 'source_lists');

-- +goose Down

DROP VIEW source_limits;
DROP TABLE source_lists;
DROP TABLE archiver_internal.learned;

-- The next run asks for expired windows again.
UPDATE archiver_internal.windows
   SET state = 'pending', completed_at = NULL
 WHERE state = 'expired';

-- A view that other views use cannot lose columns: the new columns stay, without values.
CREATE OR REPLACE VIEW archiver_internal.window_states AS
SELECT w.function_id,
       f.provider,
       f.function_urn,
       w.window_start,
       CASE WHEN o.off_from IS NULL THEN w.state ELSE 'off' END AS state,
       w.records,
       w.pending,
       w.source_count,
       w.attempts,
       w.last_error,
       w.completed_at,
       w.rejected,
       NULL::text AS expired_reason,
       NULL::timestamptz AS acknowledged_at,
       NULL::timestamptz AS refused_from,
       NULL::timestamptz AS refused_to,
       NULL::timestamptz AS retry_at
  FROM archiver_internal.windows w
  JOIN functions f USING (function_id)
  LEFT JOIN status_log_off o
    ON o.function_urn = f.function_urn AND o.provider = f.provider AND o.region = f.region AND o.project_id = f.project_id
   AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
   AND o.off_from <= w.window_start AND (o.off_to IS NULL OR o.off_to >= w.window_start + interval '1 hour');
CREATE OR REPLACE VIEW archiver_internal.windows_before AS
SELECT function_id, window_start, state, planned, records, pending, rejected, false AS missed, NULL::timestamptz AS acknowledged_at
  FROM archiver_internal.windows
 WHERE false;
CREATE OR REPLACE VIEW archiver_internal.window_totals AS
SELECT function_id, windows, complete, windows - complete - gone AS open, short, failed, gone, records, pending, rejected,
       (SELECT min(window_start)
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND planned
           AND window_start >= first_planned AND window_start < first_planned + interval '24 hours') AS planned_from,
       (SELECT max(window_start) + interval '1 hour'
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND planned
           AND window_start >= last_planned AND window_start < last_planned + interval '24 hours') AS planned_to,
       (SELECT min(window_start)
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND state = 'complete'
           AND window_start >= first_complete AND window_start < first_complete + interval '24 hours') AS complete_from,
       (SELECT max(window_start) + interval '1 hour'
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND state = 'complete'
           AND window_start >= last_complete AND window_start < last_complete + interval '24 hours') AS complete_to,
       (SELECT max(window_start) + interval '1 hour'
          FROM archiver_internal.windows
         WHERE function_id = d.function_id AND records > 0
           AND window_start >= last_recorded AND window_start < last_recorded + interval '24 hours') AS recorded_to,
       NULL::bigint AS expired, NULL::bigint AS missed,
       NULL::timestamptz AS expired_from, NULL::timestamptz AS expired_to
  FROM (
    SELECT function_id, sum(windows) AS windows, sum(complete) AS complete, sum(short) AS short, sum(failed) AS failed,
           sum(gone) AS gone, sum(records)::bigint AS records, sum(pending) AS pending, sum(rejected) AS rejected,
           min(day) FILTER (WHERE windows > 0) AS first_planned, max(day) FILTER (WHERE windows > 0) AS last_planned,
           min(day) FILTER (WHERE complete > 0) AS first_complete, max(day) FILTER (WHERE complete > 0) AS last_complete,
           max(day) FILTER (WHERE records > 0) AS last_recorded
      FROM archiver_internal.window_days
     GROUP BY function_id) AS d;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION archiver_internal.add_window_days() RETURNS trigger LANGUAGE plpgsql
SET search_path = archiver_internal AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM windows_after) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO window_days AS t (
           function_id, day, windows, unplanned, complete, empty, in_flight, short, failed, gone, records, pending, rejected)
    SELECT d.*
      FROM (
        SELECT function_id, day,
               COALESCE(sum(n) FILTER (WHERE planned), 0) AS windows,
               COALESCE(sum(n) FILTER (WHERE NOT planned), 0) AS unplanned,
               COALESCE(sum(n) FILTER (WHERE state = 'complete'), 0) AS complete,
               COALESCE(sum(n) FILTER (WHERE state = 'complete' AND records = 0 AND rejected = 0), 0) AS empty,
               COALESCE(sum(n) FILTER (WHERE state = 'complete' AND pending > 0), 0) AS in_flight,
               COALESCE(sum(n) FILTER (WHERE state = 'short'), 0) AS short,
               COALESCE(sum(n) FILTER (WHERE state = 'failed'), 0) AS failed,
               COALESCE(sum(n) FILTER (WHERE state = 'gone'), 0) AS gone,
               sum(n * records) AS records,
               sum(n * pending) AS pending,
               sum(n * rejected) AS rejected
          FROM (
            SELECT 1 AS n, date_trunc('day', window_start, 'UTC') AS day, function_id, state, planned, records, pending, rejected
              FROM windows_after
             UNION ALL
            SELECT -1, date_trunc('day', window_start, 'UTC'), function_id, state, planned, records, pending, rejected
              FROM windows_before
          ) AS w
         GROUP BY function_id, day
      ) AS d
     WHERE (windows, unplanned, complete, empty, in_flight, short, failed, gone, records, pending, rejected)
           <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
     ORDER BY function_id, day
        ON CONFLICT (function_id, day) DO UPDATE
       SET windows = t.windows + EXCLUDED.windows,
           unplanned = t.unplanned + EXCLUDED.unplanned,
           complete = t.complete + EXCLUDED.complete,
           empty = t.empty + EXCLUDED.empty,
           in_flight = t.in_flight + EXCLUDED.in_flight,
           short = t.short + EXCLUDED.short,
           failed = t.failed + EXCLUDED.failed,
           gone = t.gone + EXCLUDED.gone,
           records = t.records + EXCLUDED.records,
           pending = t.pending + EXCLUDED.pending,
           rejected = t.rejected + EXCLUDED.rejected;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM window_days d
         USING (SELECT DISTINCT function_id, date_trunc('day', window_start, 'UTC') AS day FROM windows_before) AS w
         WHERE d.function_id = w.function_id AND d.day = w.day AND d.windows = 0 AND d.unplanned = 0;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

ALTER TABLE archiver_internal.window_days
    DROP COLUMN expired,
    DROP COLUMN missed;
DROP INDEX archiver_internal.windows_open;
CREATE INDEX windows_open ON archiver_internal.windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone');
DROP INDEX archiver_internal.windows_erring;
CREATE INDEX windows_erring ON archiver_internal.windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone') AND last_error IS NOT NULL;
ALTER TABLE archiver_internal.windows
    DROP CONSTRAINT windows_state_check,
    ADD CONSTRAINT windows_state_check
        CHECK (state IN ('pending', 'partial', 'complete', 'short', 'failed', 'gone')),
    DROP COLUMN missed,
    DROP COLUMN unproven,
    DROP COLUMN acknowledged_at,
    DROP COLUMN refused_from,
    DROP COLUMN refused_to,
    DROP COLUMN stuck,
    DROP COLUMN retry_at;
ALTER TABLE functions
    DROP COLUMN missing_since,
    DROP COLUMN gone_asked_at;
