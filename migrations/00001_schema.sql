-- The schema of the archive.
--
--   1. functions, their versions and aliases
--   2. invocations: one row a request
--   3. notification settings, with their history
--   4. windows: which hours of which function are archived; claims and walks
--   5. rejected records, and runs
--   6. figures: counts and durations by hour and day
--   7. what the columns mean, and who may read them
--
-- COMMENT ON is for people who query the archive. Comments with dashes are for
-- people who work on the archiver.
--
-- The first schema of search_path (public, if nobody set it) gets the tables and
-- views that people query. Schema archiver_internal gets the tables behind these views,
-- and the checkpoints. Schema archiver_days gets the partitions of invocations.
-- All code names the last two schemas, and never the first one.

-- +goose Up

-- CREATE SCHEMA IF NOT EXISTS would need a privilege on the database even where
-- an administrator has created the schemas for this role.
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regnamespace('archiver_internal') IS NULL THEN
        CREATE SCHEMA archiver_internal;
    END IF;
    IF to_regnamespace('archiver_days') IS NULL THEN
        CREATE SCHEMA archiver_days;
    END IF;
END
$$;
-- +goose StatementEnd

COMMENT ON SCHEMA archiver_internal IS
    'Tables behind the views of the archive, and checkpoints of the archiver.';
COMMENT ON SCHEMA archiver_days IS
    'Partitions of invocations: one for each UTC day, one for requests in flight, one for requests that never started.';

-- 1. Functions.

CREATE TABLE functions (
    function_id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider          text COLLATE "C" NOT NULL,
    region            text COLLATE "C" NOT NULL,
    project_id        text COLLATE "C" NOT NULL,
    function_urn      text COLLATE "C" NOT NULL,
    function_name     text COLLATE "C" NOT NULL,
    first_seen        timestamptz NOT NULL,
    last_seen         timestamptz NOT NULL,
    gone_at           timestamptz,
    strays            boolean NOT NULL DEFAULT false,
    settings_asked_at timestamptz,
    latest_id         integer REFERENCES functions,
    versions_at       timestamptz,
    versions_mark     text COLLATE "C",
    UNIQUE (provider, region, project_id, function_urn)
);
CREATE INDEX functions_latest ON functions (latest_id) WHERE latest_id IS NOT NULL;

COMMENT ON TABLE functions IS
    'One row for each function, and for each version of a function, that a source has listed.';
COMMENT ON COLUMN functions.function_id IS
    'Number of the function in this archive.';
COMMENT ON COLUMN functions.strays IS
    'Whether the source has returned records of this function that do not start in the hours that it was asked for.';
COMMENT ON COLUMN functions.settings_asked_at IS
    'When the source was last asked for the function''s notification settings.';
COMMENT ON COLUMN functions.latest_id IS
    'For a version: function_id of the function as its source lists it.';
COMMENT ON COLUMN functions.versions_at IS
    'When its versions were listed last.';
COMMENT ON COLUMN functions.versions_mark IS
    'The source''s mark of the function''s last change, as of versions_at.';

CREATE TABLE function_aliases (
    function_id         integer NOT NULL REFERENCES functions,
    alias_name          text COLLATE "C" NOT NULL,
    version             text COLLATE "C" NOT NULL,
    description         text,
    additional_versions jsonb,
    last_seen           timestamptz NOT NULL,
    PRIMARY KEY (function_id, alias_name)
);

COMMENT ON TABLE function_aliases IS
    'Aliases of functions, as the source last listed them.';
COMMENT ON COLUMN function_aliases.alias_name IS
    'Name of the alias.';
COMMENT ON COLUMN function_aliases.description IS
    'The source''s description.';
COMMENT ON COLUMN function_aliases.additional_versions IS
    'Other versions that get a share of the invocations, as the source gives it.';

-- A URN ends in the version: urn:fss:region:project:function:package:name:version.
CREATE VIEW function_versions AS
SELECT v.provider,
       v.region,
       v.project_id,
       v.function_name,
       v.function_urn,
       v.version,
       ARRAY (
	SELECT a.alias_name
	  FROM function_aliases a
	 WHERE a.function_id = COALESCE(v.latest_id, v.function_id) AND a.version = v.version
	 ORDER BY a.alias_name) AS aliases,
       v.first_seen,
       v.last_seen,
       v.gone_at
  FROM (
	SELECT *, NULLIF(split_part(function_urn, ':', 8), '') AS version
	  FROM functions) v;

COMMENT ON VIEW function_versions IS
    'Each version of a function with its aliases.';
COMMENT ON COLUMN function_versions.aliases IS
    'Aliases of the version.';

-- 2. Invocations.

-- Records in flight are the only ones that change by themselves or have no
-- start yet: they share one small partition. Settled records lie by day of
-- start_time and are written once. The archiver makes the days.
--
-- Each leaf has its own unique index on request_id. That a request_id is in one
-- leaf only is checked by each commit (see internal/load/commit.go).
--
-- The widest columns of fixed width come first, so that rows have no padding.
-- The URN is in functions alone. source_status is NULL where it equals status.
CREATE TABLE invocations (
    first_archived_at timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    start_time        timestamptz,
    end_time          timestamptz,
    queried_window    timestamptz,
    function_id       integer NOT NULL,
    request_id        varchar(64) COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL,
    source_status     text COLLATE "C",
    error_code        text COLLATE "C",
    error_message     text,
    extra             jsonb
) PARTITION BY LIST (status);

COMMENT ON TABLE invocations IS
    'One row for each request, partitioned by the day of its start. The view invocation_history adds the names of functions.';
COMMENT ON COLUMN invocations.queried_window IS
    'If the request has no start: the hour that was read when it was found.';
COMMENT ON COLUMN invocations.source_status IS
    'The source''s own word for the status. NULL if it is equal to status.';

CREATE TABLE archiver_days.invocations_in_flight PARTITION OF invocations
    FOR VALUES IN ('WAIT', 'RUNNING');
CREATE UNIQUE INDEX invocations_in_flight_request_id ON archiver_days.invocations_in_flight (request_id);
CREATE INDEX invocations_in_flight_function_id ON archiver_days.invocations_in_flight (function_id);

COMMENT ON TABLE archiver_days.invocations_in_flight IS
    'Requests that wait or run.';

-- invocations_dated has no default partition: attaching a day would have to
-- lock it, and so wait for every transaction that ever read invocations.
CREATE TABLE archiver_days.invocations_settled PARTITION OF invocations DEFAULT
    PARTITION BY LIST ((start_time IS NULL));

COMMENT ON TABLE archiver_days.invocations_settled IS
    'Requests that have ended.';

-- A discarded request never starts.
--
-- Settled rows are written once. Autovacuum runs after 5% of new rows, and freezes
-- the rows that it visits. internal/load/days/partition.go sets the same for each
-- day, and gives reasons and measurements.
CREATE TABLE archiver_days.invocations_undated PARTITION OF archiver_days.invocations_settled
    FOR VALUES IN (true)
    WITH (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE UNIQUE INDEX invocations_undated_request_id ON archiver_days.invocations_undated (request_id);
CREATE INDEX invocations_undated_window ON archiver_days.invocations_undated (function_id, queried_window);

COMMENT ON TABLE archiver_days.invocations_undated IS
    'Requests that ended and have no start.';

CREATE TABLE archiver_days.invocations_dated PARTITION OF archiver_days.invocations_settled
    FOR VALUES IN (false) PARTITION BY RANGE (start_time);

COMMENT ON TABLE archiver_days.invocations_dated IS
    'Requests that ended and have a start: one partition for each UTC day.';

CREATE VIEW invocation_history AS
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
       i.start_time,
       i.end_time,
       EXTRACT(EPOCH FROM i.end_time - i.start_time)::double precision AS duration_seconds,
       i.extra,
       date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC') AS window_start,
       i.first_archived_at,
       i.updated_at
  FROM invocations i
  JOIN functions f USING (function_id);

COMMENT ON VIEW invocation_history IS
    'One row for each request, with the names of its function. This is the view to query.';

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

COMMENT ON VIEW failures IS
    'One row for each failed or discarded request.';
COMMENT ON COLUMN failures.failed_at IS
    'When the request ended. If the source gives no end: when it began. If it never began: the hour that was read when it was found.';

-- 3. Notification settings: how functions are invoked asynchronously.

-- One row for each version of a function and change: settings that were valid from
-- valid_from until valid_to, or are valid now if valid_to is NULL. valid_from is the
-- source's own last_modified if that is possible, else the time of the answer
-- (seen_at). Writers lock the table (see internal/load/settings.go), so that two rows
-- of one version are never valid at the same time. The first index enforces this for
-- the current rows.
CREATE TABLE archiver_internal.notification_setting_versions (
    setting_id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function_id                    integer NOT NULL REFERENCES functions,
    provider                       text COLLATE "C" NOT NULL,
    region                         text COLLATE "C" NOT NULL,
    project_id                     text COLLATE "C" NOT NULL,
    function_urn                   text COLLATE "C" NOT NULL,
    valid_from                     timestamptz NOT NULL,
    valid_to                       timestamptz CHECK (valid_to > valid_from),
    seen_at                        timestamptz NOT NULL,
    created_time                   timestamptz,
    last_modified                  timestamptz,
    max_async_event_age_in_seconds integer,
    max_async_retry_attempts       integer,
    on_success_destination         text,
    on_failure_destination         text,
    enable_async_status_log        boolean,
    raw                            jsonb NOT NULL
);
CREATE UNIQUE INDEX notification_setting_versions_current
    ON archiver_internal.notification_setting_versions (function_urn, provider, region, project_id)
    WHERE valid_to IS NULL;
CREATE UNIQUE INDEX notification_setting_versions_history
    ON archiver_internal.notification_setting_versions (function_urn, valid_from, provider, region, project_id);
CREATE INDEX notification_setting_versions_function
    ON archiver_internal.notification_setting_versions (function_id)
    WHERE valid_to IS NULL;
CREATE INDEX notification_setting_versions_off
    ON archiver_internal.notification_setting_versions (function_urn)
    WHERE NOT enable_async_status_log;

COMMENT ON TABLE archiver_internal.notification_setting_versions IS
    'Settings of asynchronous invocation, now and earlier. The view notification_settings_history adds the names of functions.';
COMMENT ON COLUMN archiver_internal.notification_setting_versions.setting_id IS
    'Number of the row.';
COMMENT ON COLUMN archiver_internal.notification_setting_versions.function_id IS
    'The function whose settings the source was asked for.';

CREATE VIEW notification_settings_history AS
SELECT s.provider,
       s.region,
       s.project_id,
       s.function_urn,
       f.function_name,
       s.valid_from,
       s.valid_to,
       s.max_async_event_age_in_seconds,
       s.max_async_retry_attempts,
       s.on_success_destination,
       s.on_failure_destination,
       s.enable_async_status_log,
       s.created_time,
       s.last_modified,
       s.seen_at,
       s.raw
  FROM archiver_internal.notification_setting_versions s
  JOIN functions f USING (function_id);

COMMENT ON VIEW notification_settings_history IS
    'Settings of asynchronous invocation, now and earlier: one row for each version of a function and change.';

CREATE VIEW notification_settings AS
SELECT provider, region, project_id, function_urn, function_name, valid_from,
       max_async_event_age_in_seconds, max_async_retry_attempts,
       on_success_destination, on_failure_destination, enable_async_status_log,
       created_time, last_modified, seen_at, raw
  FROM notification_settings_history
 WHERE valid_to IS NULL;

COMMENT ON VIEW notification_settings IS
    'Settings of asynchronous invocation now: one row for each version of a function.';

-- Joins adjacent rows with the status log off: other settings may have changed
-- while it was off.
CREATE VIEW status_log_off AS
SELECT provider, region, project_id, function_urn,
       min(valid_from) AS off_from,
       CASE WHEN count(*) = count(valid_to) THEN max(valid_to) END AS off_to
  FROM (
    SELECT *, count(*) FILTER (WHERE begins) OVER version AS period
      FROM (
        SELECT *, valid_from IS DISTINCT FROM lag(valid_to) OVER version AS begins
          FROM archiver_internal.notification_setting_versions
         WHERE NOT enable_async_status_log
        WINDOW version AS (PARTITION BY function_urn, provider, region, project_id ORDER BY valid_from)) AS off
    WINDOW version AS (PARTITION BY function_urn, provider, region, project_id ORDER BY valid_from)) AS off
 GROUP BY function_urn, provider, region, project_id, period;

COMMENT ON VIEW status_log_off IS
    'One row for each period in which the source kept no records of a function, because its status log was off.';
COMMENT ON COLUMN status_log_off.off_from IS
    'When the period began.';
COMMENT ON COLUMN status_log_off.off_to IS
    'When the period ended. NULL while it lasts.';

-- 4. Windows, and who works on them.

-- The checkpoints. Each commit keeps records, pending and rejected in step with
-- the rows; the other columns say how reading the window went. A row with
-- planned = false came from a record found while another window was read.
--
-- Only the newest windows change. By default autovacuum runs after a fifth of the
-- table has changed: in a year's archive every ten weeks. Until it runs, each query
-- of the newest windows reads the heap, with dead rows (909 pages for 1,665 windows,
-- 12 after a vacuum). With 1.4 million windows a vacuum at 2% takes 0.13 s, every
-- few days.
--
-- A lower fillfactor would not help: both updates of a window (read, verified)
-- change a column of a partial index, so neither is HOT (0.1% of updates at
-- fillfactor 100, 80 and 50). Without these indexes every plan would read the
-- whole history.
CREATE TABLE archiver_internal.windows (
    function_id  integer NOT NULL,
    window_start timestamptz NOT NULL,
    state        text COLLATE "C" NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'partial', 'complete', 'short', 'failed', 'gone')),
    planned      boolean NOT NULL DEFAULT false,
    records      integer NOT NULL DEFAULT 0,
    pending      integer NOT NULL DEFAULT 0,
    rejected     integer NOT NULL DEFAULT 0,
    source_count integer,
    attempts     integer NOT NULL DEFAULT 0,
    last_error   text,
    completed_at timestamptz,
    recheck_at   timestamptz,
    rechecks     smallint NOT NULL DEFAULT 0,
    verified_at  timestamptz,
    PRIMARY KEY (function_id, window_start)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

-- However long the history, only few windows are in these indexes at a time.
CREATE INDEX windows_open ON archiver_internal.windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone');
CREATE INDEX windows_erring ON archiver_internal.windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone') AND last_error IS NOT NULL;
CREATE INDEX windows_recheck ON archiver_internal.windows (function_id, recheck_at)
    WHERE recheck_at IS NOT NULL;
CREATE INDEX windows_unverified ON archiver_internal.windows (function_id, window_start)
    WHERE state = 'complete' AND verified_at IS NULL;

COMMENT ON TABLE archiver_internal.windows IS
    'One row for each function and hour: whether it was read, and how many records it has. The view window_coverage adds the names of functions.';
COMMENT ON COLUMN archiver_internal.windows.records IS
    'Number of archived records.';
COMMENT ON COLUMN archiver_internal.windows.recheck_at IS
    'When the source is asked again for the records in flight.';
COMMENT ON COLUMN archiver_internal.windows.rechecks IS
    'How often the source was asked again for the records in flight.';

-- A window without records is shown as off if the source kept no records for all
-- of its hour: it is complete only because there was nothing to read.
CREATE VIEW archiver_internal.window_states AS
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
       w.rejected
  FROM archiver_internal.windows w
  JOIN functions f USING (function_id)
  LEFT JOIN status_log_off o
    ON o.function_urn = f.function_urn AND o.provider = f.provider AND o.region = f.region AND o.project_id = f.project_id
   AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
   AND o.off_from <= w.window_start AND (o.off_to IS NULL OR o.off_to >= w.window_start + interval '1 hour');

COMMENT ON VIEW archiver_internal.window_states IS
    'The view window_coverage with function_id.';
COMMENT ON COLUMN archiver_internal.window_states.state IS
    'See window_coverage.state.';
COMMENT ON COLUMN archiver_internal.window_states.records IS
    'Number of archived records.';

CREATE VIEW window_coverage AS
SELECT provider, function_urn, window_start, state, records, pending, source_count,
       attempts, last_error, completed_at, rejected
  FROM archiver_internal.window_states;

COMMENT ON VIEW window_coverage IS
    'One row for each function and hour: whether it is complete, and if not, why.';
COMMENT ON COLUMN window_coverage.state IS
    'pending (known, not read), partial (begun), complete, short (the source counts more records than it returns), failed, gone (the function does not answer), or off (complete, but the source kept no records for all of the hour).';
COMMENT ON COLUMN window_coverage.records IS
    'Number of archived records.';

-- Each claim of the function increases epoch. A worker whose epoch is no longer
-- the row's has lost the function, and each of its transactions checks that
-- before it writes. owner is a process: it holds an advisory lock of that
-- number as long as its session lives.
CREATE TABLE archiver_internal.claims (
    function_id integer PRIMARY KEY REFERENCES functions,
    owner       integer NOT NULL,
    epoch       bigint NOT NULL,
    expires_at  timestamptz NOT NULL
);

COMMENT ON TABLE archiver_internal.claims IS
    'Which process works on a function now.';
COMMENT ON COLUMN archiver_internal.claims.owner IS
    'Number of the process that has the claim.';
COMMENT ON COLUMN archiver_internal.claims.epoch IS
    'Grows with every claim of the function.';
COMMENT ON COLUMN archiver_internal.claims.expires_at IS
    'When the claim expires if its owner does not renew it.';

-- The spans that were begun and not finished. The next run resumes them.
CREATE TABLE archiver_internal.walks (
    function_id   integer NOT NULL,
    span_from     timestamptz NOT NULL,
    span_to       timestamptz NOT NULL,
    source_cursor text NOT NULL,
    seen          integer NOT NULL,
    source_count  integer,
    PRIMARY KEY (function_id, span_from)
);

COMMENT ON TABLE archiver_internal.walks IS
    'Spans that are being read, and where the next page begins.';
COMMENT ON COLUMN archiver_internal.walks.span_from IS
    'Beginning of the span.';
COMMENT ON COLUMN archiver_internal.walks.span_to IS
    'End of the span.';
COMMENT ON COLUMN archiver_internal.walks.source_cursor IS
    'The source''s cursor of the next page.';
COMMENT ON COLUMN archiver_internal.walks.seen IS
    'Number of records seen so far.';
COMMENT ON COLUMN archiver_internal.walks.source_count IS
    'The source''s count as of the last page.';

-- A row for each function. A transaction that writes windows locks the rows of their
-- functions first, in the order of function_id: see internal/load/pg/locks.go.
CREATE TABLE archiver_internal.window_writers (
    function_id integer PRIMARY KEY REFERENCES functions
);

COMMENT ON TABLE archiver_internal.window_writers IS
    'A row for each function, to be locked before its windows are written.';

-- +goose StatementBegin
CREATE FUNCTION archiver_internal.add_window_writer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO archiver_internal.window_writers VALUES (NEW.function_id);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER add_window_writer AFTER INSERT ON functions
    FOR EACH ROW EXECUTE FUNCTION archiver_internal.add_window_writer();

-- One row for each function and UTC day that has windows. Triggers on windows change
-- it in the transaction that changes windows. That transaction holds the row of the
-- function in window_writers, so that it never waits for a row of this table.
--
-- A day's rows are rewritten as its hours complete. Each page has free space, and
-- no index but the key names a column: nearly all updates are HOT.
CREATE TABLE archiver_internal.window_days (
    function_id integer NOT NULL,
    day         timestamptz NOT NULL,
    windows     integer NOT NULL,
    unplanned   integer NOT NULL,
    complete    integer NOT NULL,
    empty       integer NOT NULL,
    in_flight   integer NOT NULL,
    short       integer NOT NULL,
    failed      integer NOT NULL,
    gone        integer NOT NULL,
    records     bigint NOT NULL,
    pending     integer NOT NULL,
    rejected    integer NOT NULL,
    PRIMARY KEY (function_id, day)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

COMMENT ON TABLE archiver_internal.window_days IS
    'One row for each function and UTC day: its windows by state. Triggers on windows keep it.';
COMMENT ON COLUMN archiver_internal.window_days.day IS
    'Beginning of the UTC day.';
COMMENT ON COLUMN archiver_internal.window_days.windows IS
    'Planned windows.';
COMMENT ON COLUMN archiver_internal.window_days.unplanned IS
    'Windows that are not planned: a record of them was found while another window was read.';
COMMENT ON COLUMN archiver_internal.window_days.complete IS
    'Complete windows.';
COMMENT ON COLUMN archiver_internal.window_days.empty IS
    'Complete windows without records. If the source kept no records then, they are off.';
COMMENT ON COLUMN archiver_internal.window_days.in_flight IS
    'Complete windows with records in flight.';
COMMENT ON COLUMN archiver_internal.window_days.short IS
    'Windows that are short: the source counts more records than it returns.';
COMMENT ON COLUMN archiver_internal.window_days.failed IS
    'Windows whose reading ended with an error.';
COMMENT ON COLUMN archiver_internal.window_days.gone IS
    'Windows that were not read before the function was gone.';
COMMENT ON COLUMN archiver_internal.window_days.records IS
    'Records of all windows.';
COMMENT ON COLUMN archiver_internal.window_days.pending IS
    'Records in flight of all windows.';
COMMENT ON COLUMN archiver_internal.window_days.rejected IS
    'Rejected records of all windows.';

-- The trigger for INSERT has no table windows_before, and the trigger for DELETE
-- has no table windows_after. There the statement of the function below finds
-- these empty views, because the function sets search_path to their schema.
CREATE VIEW archiver_internal.windows_before AS
SELECT function_id, window_start, state, planned, records, pending, rejected
  FROM archiver_internal.windows
 WHERE false;
CREATE VIEW archiver_internal.windows_after AS
SELECT * FROM archiver_internal.windows_before;

COMMENT ON VIEW archiver_internal.windows_before IS
    'Stands in for a trigger''s table of rows before a change. Always empty.';
COMMENT ON VIEW archiver_internal.windows_after IS
    'Stands in for a trigger''s table of rows after a change. Always empty.';

-- Adds the changes of a statement to window_days. This is part of every commit: an
-- upsert fires the trigger for INSERT too, mostly without a row. No statement names
-- a variable, so that each is planned once a session.
-- +goose StatementBegin
CREATE FUNCTION archiver_internal.add_window_days() RETURNS trigger LANGUAGE plpgsql
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

CREATE TRIGGER days_inserted AFTER INSERT ON archiver_internal.windows
    REFERENCING NEW TABLE AS windows_after
    FOR EACH STATEMENT EXECUTE FUNCTION archiver_internal.add_window_days();
CREATE TRIGGER days_updated AFTER UPDATE ON archiver_internal.windows
    REFERENCING OLD TABLE AS windows_before NEW TABLE AS windows_after
    FOR EACH STATEMENT EXECUTE FUNCTION archiver_internal.add_window_days();
CREATE TRIGGER days_deleted AFTER DELETE ON archiver_internal.windows
    REFERENCING OLD TABLE AS windows_before
    FOR EACH STATEMENT EXECUTE FUNCTION archiver_internal.add_window_days();

-- +goose StatementBegin
CREATE FUNCTION archiver_internal.empty_window_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM archiver_internal.window_days;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER days_truncated AFTER TRUNCATE ON archiver_internal.windows
    FOR EACH STATEMENT EXECUTE FUNCTION archiver_internal.empty_window_days();

-- The totals of a function's windows. A query that does not ask for one of the
-- times does not look it up.
CREATE VIEW archiver_internal.window_totals AS
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
           AND window_start >= last_recorded AND window_start < last_recorded + interval '24 hours') AS recorded_to
  FROM (
    SELECT function_id, sum(windows) AS windows, sum(complete) AS complete, sum(short) AS short, sum(failed) AS failed,
           sum(gone) AS gone, sum(records)::bigint AS records, sum(pending) AS pending, sum(rejected) AS rejected,
           min(day) FILTER (WHERE windows > 0) AS first_planned, max(day) FILTER (WHERE windows > 0) AS last_planned,
           min(day) FILTER (WHERE complete > 0) AS first_complete, max(day) FILTER (WHERE complete > 0) AS last_complete,
           max(day) FILTER (WHERE records > 0) AS last_recorded
      FROM archiver_internal.window_days
     GROUP BY function_id) AS d;

COMMENT ON VIEW archiver_internal.window_totals IS
    'One row for each function that has windows: its windows by state.';
COMMENT ON COLUMN archiver_internal.window_totals.windows IS
    'Planned windows.';
COMMENT ON COLUMN archiver_internal.window_totals.complete IS
    'Complete windows.';
COMMENT ON COLUMN archiver_internal.window_totals.open IS
    'Planned windows that are neither complete nor gone.';
COMMENT ON COLUMN archiver_internal.window_totals.short IS
    'Windows that are short: the source counts more records than it returns.';
COMMENT ON COLUMN archiver_internal.window_totals.failed IS
    'Windows whose reading ended with an error.';
COMMENT ON COLUMN archiver_internal.window_totals.gone IS
    'Windows that were not read before the function was gone.';
COMMENT ON COLUMN archiver_internal.window_totals.records IS
    'Records of all windows.';
COMMENT ON COLUMN archiver_internal.window_totals.pending IS
    'Records in flight of all windows.';
COMMENT ON COLUMN archiver_internal.window_totals.rejected IS
    'Rejected records of all windows.';
COMMENT ON COLUMN archiver_internal.window_totals.planned_from IS
    'Beginning of the first planned window.';
COMMENT ON COLUMN archiver_internal.window_totals.planned_to IS
    'End of the last planned window.';
COMMENT ON COLUMN archiver_internal.window_totals.complete_from IS
    'Beginning of the first complete window.';
COMMENT ON COLUMN archiver_internal.window_totals.complete_to IS
    'End of the last complete window.';
COMMENT ON COLUMN archiver_internal.window_totals.recorded_to IS
    'End of the last window with records.';

-- 5. Rejected records, and runs.

CREATE TABLE rejected_records (
    rejected_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function_id  integer NOT NULL REFERENCES functions,
    window_start timestamptz,
    reason       text NOT NULL,
    payload      text NOT NULL,
    rejected_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX rejected_records_payload ON rejected_records (function_id, md5(payload));

COMMENT ON TABLE rejected_records IS
    'Records that a source sent and that no row can hold, unchanged.';
COMMENT ON COLUMN rejected_records.rejected_id IS
    'Number of the record.';
COMMENT ON COLUMN rejected_records.window_start IS
    'The UTC hour that was read when the record came. NULL if it is not a record of an invocation.';
COMMENT ON COLUMN rejected_records.reason IS
    'Why no row can hold the record.';
COMMENT ON COLUMN rejected_records.payload IS
    'The record as the source sent it.';
COMMENT ON COLUMN rejected_records.rejected_at IS
    'When the record first came.';

-- The columns from seen_at on are written every few seconds by the process that
-- makes the run, and when the run ends. No index has one of them, so that each
-- of these updates is HOT.
CREATE TABLE runs (
    run_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_by        text NOT NULL,
    range_from      timestamptz NOT NULL,
    range_to        timestamptz NOT NULL,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    windows         integer,
    complete        integer,
    records         bigint,
    inserted        bigint,
    rejected        bigint,
    calls           bigint,
    outcome         text COLLATE "C" NOT NULL DEFAULT 'running'
                    CHECK (outcome IN ('running', 'complete', 'incomplete', 'interrupted', 'failed')),
    error           text,
    seen_at         timestamptz,
    windows_planned bigint,
    windows_done    bigint,
    records_done    bigint,
    calls_done      bigint,
    refused_done    bigint
);

-- Few runs are running, and the last success may be long ago.
CREATE INDEX runs_running ON runs (run_id) WHERE outcome = 'running';
CREATE INDEX runs_succeeded ON runs (run_id) WHERE outcome = 'complete' AND asked_by IN ('run', 'once');

COMMENT ON TABLE runs IS
    'One row for each run: which command made it, what it did, how it ended.';
COMMENT ON COLUMN runs.run_id IS
    'Number of the run: the newest has the highest.';
COMMENT ON COLUMN runs.asked_by IS
    'The command: run, once, backfill or verify.';
COMMENT ON COLUMN runs.range_from IS
    'Beginning of the range of the run.';
COMMENT ON COLUMN runs.range_to IS
    'End of the range of the run.';
COMMENT ON COLUMN runs.started_at IS
    'When the run began.';
COMMENT ON COLUMN runs.finished_at IS
    'When the run ended. NULL while it lasts, and if its process was killed.';
COMMENT ON COLUMN runs.windows IS
    'Windows that were due in the run.';
COMMENT ON COLUMN runs.complete IS
    'Due windows that became complete.';
COMMENT ON COLUMN runs.records IS
    'Records that the source returned.';
COMMENT ON COLUMN runs.inserted IS
    'Returned records that were new.';
COMMENT ON COLUMN runs.rejected IS
    'Returned records that no row can hold.';
COMMENT ON COLUMN runs.calls IS
    'Calls to the source.';
COMMENT ON COLUMN runs.outcome IS
    'running, complete, incomplete, interrupted or failed.';
COMMENT ON COLUMN runs.error IS
    'Why the run is not complete.';
COMMENT ON COLUMN runs.seen_at IS
    'When the run''s process last noted its progress, by its own clock: every five seconds while the run lasts. If a run has no end and was not seen for a minute, its process has died.';
COMMENT ON COLUMN runs.windows_planned IS
    'Windows that are due in the run, as known at seen_at. 0 before that is known.';
COMMENT ON COLUMN runs.windows_done IS
    'Due windows that were read by seen_at, with success or with an error.';
COMMENT ON COLUMN runs.records_done IS
    'Records read and kept by seen_at, new or known before.';
COMMENT ON COLUMN runs.calls_done IS
    'Calls made to the source by seen_at, retries included.';
COMMENT ON COLUMN runs.refused_done IS
    'Calls that the source refused by seen_at because there were too many.';

-- 6. Figures: counts and durations by hour and day, so that a chart of a year
-- reads some thousand rows.

-- Durations are counted in buckets, eight of them to a doubling: bucket 0 is for
-- less than a millisecond, bucket 1 begins at 1 ms, bucket 9 at 2 ms, and 255,
-- the last, at 44 days. Histograms of any hours and functions add up.
--
-- The middle of a bucket is at most 4.4% from its ends.
CREATE FUNCTION archiver_internal.duration_bucket(seconds double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN seconds < 0.001 THEN 0
            WHEN seconds >= 0.001 THEN LEAST(255, 1 + floor(8 * ln(seconds * 1000) / ln(2::double precision)))::integer
       END
$$;

-- A histogram is an array of counts, from the first bucket with a count to the last
-- one. Its subscripts are the numbers of the buckets. A histogram without counts is
-- NULL. This function makes a histogram of buckets and their counts.
-- +goose StatementBegin
CREATE FUNCTION archiver_internal.histogram_of(buckets integer[], counts bigint[]) RETURNS integer[]
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
CREATE FUNCTION archiver_internal.histogram_add(a bigint[], b bigint[]) RETURNS bigint[]
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
    SFUNC = archiver_internal.histogram_add, STYPE = bigint[], COMBINEFUNC = archiver_internal.histogram_add, PARALLEL = SAFE);

-- The percentile of the durations, in seconds: the middle of the bucket in which the
-- given fraction of all durations is reached.
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

-- One row for each function and hour with records: the hour in which they start, as
-- in windows. timed counts the settled records with both times. The seconds and the
-- histogram are of these records; an end before the start counts as 0 seconds.
--
-- The hours of one function lie on different blocks. The key includes the counts, so
-- that a year of them is read from the index alone, up to the last vacuum.
CREATE TABLE archiver_internal.hourly_figures (
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
    PRIMARY KEY (function_id, window_start) INCLUDE (records, success, fail, discard, in_flight, other)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX hourly_figures_window ON archiver_internal.hourly_figures (window_start);

COMMENT ON TABLE archiver_internal.hourly_figures IS
    'Counts and durations of each function and hour. The view function_hourly adds names and percentiles.';

-- Failed and discarded records by error code: its first 200 characters, '' if there
-- is no code.
CREATE TABLE archiver_internal.hourly_error_codes (
    function_id    integer NOT NULL,
    window_start   timestamptz NOT NULL,
    error_code     text COLLATE "C" NOT NULL,
    records        bigint NOT NULL,
    first_seen     timestamptz NOT NULL,
    last_seen      timestamptz NOT NULL,
    sample_message text, -- of the last one that has any, the beginning
    PRIMARY KEY (function_id, window_start, error_code)
);
CREATE INDEX hourly_error_codes_window ON archiver_internal.hourly_error_codes (window_start);

COMMENT ON TABLE archiver_internal.hourly_error_codes IS
    'Failed and discarded records of each function and hour by error code. The view error_codes sums them up.';
COMMENT ON COLUMN archiver_internal.hourly_error_codes.error_code IS
    'The first 200 characters of the source''s error code. Empty if there is no code.';
COMMENT ON COLUMN archiver_internal.hourly_error_codes.first_seen IS
    'Start of the first record with this code.';
COMMENT ON COLUMN archiver_internal.hourly_error_codes.last_seen IS
    'Start of the last record with this code.';

-- The same as hourly_figures by UTC day. Retention sets complete_hours when it
-- drops the day: from then on the figures of the function and day are frozen (see
-- internal/load/figures).
CREATE TABLE archiver_internal.daily_figures (
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
CREATE INDEX daily_figures_day ON archiver_internal.daily_figures (day);

COMMENT ON TABLE archiver_internal.daily_figures IS
    'Counts and durations of each function and UTC day. The view function_daily adds names and percentiles.';
COMMENT ON COLUMN archiver_internal.daily_figures.complete_hours IS
    'How many hours of the day were complete when retention dropped the day; NULL before.';

-- The same as hourly_figures for all functions of a source together.
CREATE TABLE archiver_internal.source_figures (
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

COMMENT ON TABLE archiver_internal.source_figures IS
    'Counts and durations of all functions of a source by hour. The view source_hourly adds percentiles.';

-- Hours whose records changed since they were counted: one row for each change. A row
-- is written in the transaction of the change, and deleted in the transaction of the
-- count (see internal/load/figures), so that a crash loses none. There is no key, so
-- that writers do not wait for each other.
CREATE TABLE archiver_internal.hourly_figures_due (
    function_id  integer NOT NULL,
    window_start timestamptz NOT NULL
);
CREATE INDEX hourly_figures_due_window ON archiver_internal.hourly_figures_due (window_start);

COMMENT ON TABLE archiver_internal.hourly_figures_due IS
    'Functions and hours whose figures the next run counts again. Rows may be inserted by hand.';

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
  FROM archiver_internal.hourly_figures h
  JOIN functions f USING (function_id);

COMMENT ON VIEW function_hourly IS
    'One row for each function and hour that has records: counts and durations.';

-- One row for each function and day, from the first to the last day with planned
-- windows or records. Hours in which the source kept no records are not complete (see
-- window_states). A query that does not ask for complete_hours does not count them.
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
	  FROM archiver_internal.windows w
	 WHERE w.function_id = f.function_id AND w.state = 'complete'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
       - CASE WHEN EXISTS (
	SELECT
	  FROM archiver_internal.notification_setting_versions s
	 WHERE s.function_urn = f.function_urn AND NOT s.enable_async_status_log) THEN (
	SELECT count(*)
	  FROM archiver_internal.window_states w
	 WHERE w.function_id = f.function_id AND w.state = 'off'
	   AND w.window_start >= d.day AT TIME ZONE 'UTC' AND w.window_start < (d.day + interval '1 day') AT TIME ZONE 'UTC')
	 ELSE 0 END)::integer AS complete_hours
  FROM functions f
 CROSS JOIN LATERAL generate_series(
	LEAST((SELECT min(day) FROM archiver_internal.daily_figures WHERE function_id = f.function_id)::timestamp,
	      (SELECT min(day) FROM archiver_internal.window_days WHERE function_id = f.function_id AND windows > 0) AT TIME ZONE 'UTC'),
	GREATEST((SELECT max(day) FROM archiver_internal.daily_figures WHERE function_id = f.function_id)::timestamp,
	         (SELECT max(day) FROM archiver_internal.window_days WHERE function_id = f.function_id AND windows > 0) AT TIME ZONE 'UTC'),
	interval '1 day') AS d (day)
  LEFT JOIN archiver_internal.daily_figures g ON g.function_id = f.function_id AND g.day = d.day::date;

COMMENT ON VIEW function_daily IS
    'One row for each function and UTC day: counts, durations, and the number of complete hours.';
COMMENT ON COLUMN function_daily.complete_hours IS
    'Number of complete hours of the day, at most 24. If retention dropped the day: as of then.';

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
  FROM archiver_internal.source_figures;

COMMENT ON VIEW source_hourly IS
    'One row for each source and hour that has records: counts and durations of all functions.';

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
	  FROM archiver_internal.hourly_error_codes h
	 GROUP BY function_id, h.error_code) AS e
  JOIN functions f USING (function_id);

COMMENT ON VIEW error_codes IS
    'One row for each function and error code: how often it came, when first and last, and a sample message.';
COMMENT ON COLUMN error_codes.first_seen IS
    'Start of the first record with this code.';
COMMENT ON COLUMN error_codes.last_seen IS
    'Start of the last record with this code.';

-- 7. What the columns mean, and who may read them.

COMMENT ON TABLE archiver_internal.goose_db_version IS
    'Applied migrations of the schema: see archiver migrate status.';
COMMENT ON COLUMN archiver_internal.goose_db_version.id IS
    'Number of the row.';
COMMENT ON COLUMN archiver_internal.goose_db_version.version_id IS
    'Number of the migration.';
COMMENT ON COLUMN archiver_internal.goose_db_version.is_applied IS
    'Whether the migration was applied.';
COMMENT ON COLUMN archiver_internal.goose_db_version.tstamp IS
    'When the migration was applied.';

-- Columns of the same name mean the same in all tables and views. If a column means
-- something else, its own comment stands with its table above.
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
                ('function_urn', 'The source''s own name of the function, its version included.'),
                ('function_name', 'Name of the function, without its version.'),
                ('function_id', 'Number of the function in this archive: see functions.'),
                ('window_start', 'Beginning of the UTC hour in which the record starts. If the record has no start: the hour that was read when it was found.'),
                ('request_id', 'The source''s id of the request. No two rows have the same id.'),
                ('status', 'WAIT, RUNNING, SUCCESS, FAIL or DISCARD; the source''s own word if it is none of these.'),
                ('source_status', 'The source''s own word for the status.'),
                ('error_code', 'The source''s error code. NULL if it is 0, empty or absent.'),
                ('error_message', 'The source''s error message. NULL if it is empty.'),
                ('start_time', 'When the request began to run. NULL if the source gives no time.'),
                ('end_time', 'When the request ended. NULL if the source gives no time.'),
                ('duration_seconds', 'Seconds from start_time to end_time. NULL if one of them is NULL.'),
                ('extra', 'Fields that have no column, under the source''s own names.'),
                ('first_archived_at', 'When the record was first archived.'),
                ('updated_at', 'When the archived record last changed.'),
                ('first_seen', 'When the source first listed it.'),
                ('last_seen', 'When the source last listed it.'),
                ('gone_at', 'Since when the source does not have the function. NULL while the source has it.'),
                ('version', 'Version of the function.'),
                ('state', 'pending (known, not read), partial (begun), complete, short (the source counts more records than it returns), failed, or gone (the function does not answer).'),
                ('planned', 'Whether a run reads this window. False if the row exists only because a record of this hour was found while another window was read.'),
                ('records', 'Number of records.'),
                ('pending', 'Number of its records that are in flight.'),
                ('rejected', 'Number of its records in rejected_records.'),
                ('source_count', 'Number of records that the source counts. NULL if the source gives no count.'),
                ('attempts', 'How often the window was read to an end, with success or with an error.'),
                ('last_error', 'Why the window is not complete.'),
                ('completed_at', 'When the window became complete.'),
                ('verified_at', 'When the archive''s count was last equal to the source''s. NULL if they were not compared since the window became complete.'),
                ('success', 'Records with status SUCCESS.'),
                ('fail', 'Records with status FAIL.'),
                ('discard', 'Records with status DISCARD.'),
                ('in_flight', 'Records that wait or run: status WAIT or RUNNING.'),
                ('other', 'Records whose status is the source''s own word.'),
                ('failure_rate', 'Failed and discarded records divided by all records that are not in flight: from 0 to 1. NULL if all records are in flight.'),
                ('timed', 'Number of records that ended and have both times. Durations are those of these records.'),
                ('total_seconds', 'Sum of the durations, in seconds. A record that ends before it starts counts as 0.'),
                ('mean_seconds', 'Mean duration, in seconds.'),
                ('p50_seconds', 'Median duration, in seconds, within 5%.'),
                ('p95_seconds', '95th percentile of the durations, in seconds, within 5%.'),
                ('p99_seconds', '99th percentile of the durations, in seconds, within 5%.'),
                ('max_seconds', 'Longest duration, in seconds.'),
                ('histogram', 'Number of durations in each bucket, for histogram_sum and histogram_percentile. NULL if there are none.'),
                ('sample_message', 'The last message that came with this code: its first 500 characters.'),
                ('day', 'UTC day.'),
                ('functions', 'Number of functions that have records in this hour.'),
                ('valid_from', 'From when these settings were valid.'),
                ('valid_to', 'Until when these settings were valid. NULL while they are.'),
                ('seen_at', 'When the source answered.'),
                ('created_time', 'The source''s own time of creation.'),
                ('last_modified', 'The source''s own time of the last change.'),
                ('max_async_event_age_in_seconds', 'How many seconds an event may wait before it is discarded.'),
                ('max_async_retry_attempts', 'How often a failed invocation is retried.'),
                ('on_success_destination', 'Where results of successful invocations go, as the source gives it.'),
                ('on_failure_destination', 'Where results of failed invocations go, as the source gives it.'),
                ('enable_async_status_log', 'Whether the source keeps records of the function. NULL if the source does not say.'),
                ('raw', 'The source''s answer, unchanged.')
            ) AS m (attname, meaning)
          JOIN pg_attribute a ON a.attname = m.attname AND a.attnum > 0
          JOIN pg_class r ON r.oid = a.attrelid AND r.relkind IN ('r', 'p', 'v')
         WHERE col_description(a.attrelid, a.attnum) IS NULL
           AND (r.relnamespace = 'archiver_internal'::regnamespace OR r.oid = ANY ('{
                functions, function_aliases, function_versions, invocations, invocation_history, failures,
                notification_settings, notification_settings_history, status_log_off, window_coverage,
                rejected_records, runs, function_hourly, function_daily, source_hourly, error_codes}'::regclass[]))
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.relation, c.attname, c.meaning);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Lets the role archiver_reader read tables and views, and through a partitioned
-- table all of its partitions, later ones included. A role belongs to the whole
-- cluster: another archive may have created it. If this role may not create it,
-- nothing is granted, and docs/sql.md says how to do it later.
-- +goose StatementBegin
CREATE FUNCTION archiver_internal.allow_reading(VARIADIC relations regclass[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    home     regnamespace;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'archiver_reader') THEN
        BEGIN
            CREATE ROLE archiver_reader NOLOGIN;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'this role may not create archiver_reader: nothing is granted to it';
                RETURN;
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- another archive has just made it
        END;
    END IF;
    FOR home IN
        SELECT DISTINCT relnamespace FROM pg_class WHERE oid = ANY (relations)
    LOOP
        IF NOT has_schema_privilege('archiver_reader', home, 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %s TO archiver_reader', home);
        END IF;
    END LOOP;
    FOREACH relation IN ARRAY relations LOOP
        EXECUTE format('GRANT SELECT ON %s TO archiver_reader', relation);
    END LOOP;
END
$$;
-- +goose StatementEnd

SELECT archiver_internal.allow_reading(
    'functions', 'function_aliases', 'function_versions', 'invocations', 'invocation_history', 'failures',
    'notification_settings', 'notification_settings_history', 'status_log_off', 'window_coverage',
    'rejected_records', 'runs', 'function_hourly', 'function_daily', 'source_hourly', 'error_codes',
    'archiver_internal.notification_setting_versions', 'archiver_internal.windows', 'archiver_internal.window_states',
    'archiver_internal.window_totals', 'archiver_internal.window_days', 'archiver_internal.hourly_figures', 'archiver_internal.hourly_error_codes',
    'archiver_internal.daily_figures', 'archiver_internal.source_figures');

-- archiver status and archiver query read the partitions by name.
SELECT archiver_internal.allow_reading(
    'archiver_days.invocations_in_flight', 'archiver_days.invocations_undated', 'archiver_days.invocations_dated');

-- +goose Down

DROP FUNCTION archiver_internal.allow_reading;
DROP VIEW error_codes;
DROP VIEW source_hourly;
DROP VIEW function_daily;
DROP VIEW function_hourly;
DROP TABLE archiver_internal.hourly_figures_due;
DROP TABLE archiver_internal.source_figures;
DROP TABLE archiver_internal.daily_figures;
DROP TABLE archiver_internal.hourly_error_codes;
DROP TABLE archiver_internal.hourly_figures;
DROP FUNCTION histogram_percentile;
DROP AGGREGATE histogram_sum(bigint[]);
DROP FUNCTION archiver_internal.histogram_add;
DROP FUNCTION archiver_internal.histogram_of;
DROP FUNCTION archiver_internal.duration_bucket;
DROP TABLE runs;
DROP TABLE rejected_records;
DROP VIEW archiver_internal.window_totals;
DROP VIEW archiver_internal.windows_after;
DROP VIEW archiver_internal.windows_before;
DROP TABLE archiver_internal.walks;
DROP TABLE archiver_internal.claims;
DROP VIEW window_coverage;
DROP VIEW archiver_internal.window_states;
DROP TABLE archiver_internal.windows;
DROP TABLE archiver_internal.window_days;
DROP FUNCTION archiver_internal.empty_window_days;
DROP FUNCTION archiver_internal.add_window_days;
DROP TRIGGER add_window_writer ON functions;
DROP FUNCTION archiver_internal.add_window_writer;
DROP TABLE archiver_internal.window_writers;
DROP VIEW status_log_off;
DROP VIEW notification_settings;
DROP VIEW notification_settings_history;
DROP TABLE archiver_internal.notification_setting_versions;
DROP VIEW failures;
DROP VIEW invocation_history;
DROP TABLE invocations;
DROP VIEW function_versions;
DROP TABLE function_aliases;
DROP TABLE functions;

DROP SCHEMA archiver_days;

-- Schema archiver_internal stays, with goose's table, and so does the role
-- archiver_reader: another archive of the cluster may use it.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'archiver_reader') THEN
        REVOKE ALL ON SCHEMA archiver_internal FROM archiver_reader;
    END IF;
END
$$;
-- +goose StatementEnd
