-- How functions are invoked asynchronously, with its history.

-- +goose Up

-- When the source was asked for the function's settings last.
ALTER TABLE functions ADD COLUMN settings_asked_at timestamptz;

-- One row a version and change: what held from valid_from on, up to valid_to,
-- which is NULL for what holds now. valid_from is the source's own last_modified
-- where that can be, else when the answer came (seen_at). Writers lock the table
-- (see internal/load/settings.go), so that of one version no two rows hold at
-- once; the index says the same of those that hold now.
CREATE TABLE notification_setting_versions (
    setting_id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function_id                    integer NOT NULL REFERENCES functions, -- which was asked for
    provider                       text COLLATE "C" NOT NULL,
    region                         text COLLATE "C" NOT NULL,
    project_id                     text COLLATE "C" NOT NULL,
    function_urn                   text COLLATE "C" NOT NULL, -- of the version
    valid_from                     timestamptz NOT NULL,
    valid_to                       timestamptz CHECK (valid_to > valid_from),
    seen_at                        timestamptz NOT NULL,
    created_time                   timestamptz,
    last_modified                  timestamptz,
    max_async_event_age_in_seconds integer,
    max_async_retry_attempts       integer,
    on_success_destination         text,
    on_failure_destination         text,
    enable_async_status_log        boolean, -- NULL where the source does not say
    raw                            jsonb NOT NULL
);
CREATE UNIQUE INDEX notification_setting_versions_current
    ON notification_setting_versions (function_urn, provider, region, project_id)
    WHERE valid_to IS NULL;
CREATE UNIQUE INDEX notification_setting_versions_history
    ON notification_setting_versions (function_urn, valid_from, provider, region, project_id);
CREATE INDEX notification_setting_versions_function
    ON notification_setting_versions (function_id)
    WHERE valid_to IS NULL;
CREATE INDEX notification_setting_versions_off
    ON notification_setting_versions (function_urn)
    WHERE NOT enable_async_status_log;

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
  FROM notification_setting_versions s
  JOIN functions f USING (function_id);

CREATE VIEW notification_settings AS
SELECT provider, region, project_id, function_urn, function_name, valid_from,
       max_async_event_age_in_seconds, max_async_retry_attempts,
       on_success_destination, on_failure_destination, enable_async_status_log,
       created_time, last_modified, seen_at, raw
  FROM notification_settings_history
 WHERE valid_to IS NULL;

-- When the source kept no records of a version: from off_from on, up to off_to,
-- which is NULL while it goes on. Other settings may have changed meanwhile.
CREATE VIEW status_log_off AS
SELECT provider, region, project_id, function_urn,
       min(valid_from) AS off_from,
       CASE WHEN count(*) = count(valid_to) THEN max(valid_to) END AS off_to
  FROM (
    SELECT *, count(*) FILTER (WHERE begins) OVER version AS period
      FROM (
        SELECT *, valid_from IS DISTINCT FROM lag(valid_to) OVER version AS begins
          FROM notification_setting_versions
         WHERE NOT enable_async_status_log
        WINDOW version AS (PARTITION BY function_urn, provider, region, project_id ORDER BY valid_from)) AS off
    WINDOW version AS (PARTITION BY function_urn, provider, region, project_id ORDER BY valid_from)) AS off
 GROUP BY function_urn, provider, region, project_id, period;

-- A window in all of which the source kept no records, and of which none came,
-- is complete only in that there was nothing to read: it is shown as off.
CREATE VIEW window_states AS
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
  FROM windows w
  JOIN functions f USING (function_id)
  LEFT JOIN status_log_off o
    ON o.function_urn = f.function_urn AND o.provider = f.provider AND o.region = f.region AND o.project_id = f.project_id
   AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
   AND o.off_from <= w.window_start AND (o.off_to IS NULL OR o.off_to >= w.window_start + interval '1 hour');

CREATE OR REPLACE VIEW window_coverage AS
SELECT provider, function_urn, window_start, state, records, pending, source_count,
       attempts, last_error, completed_at, rejected
  FROM window_states;

-- A rejected setting is of no window.
ALTER TABLE rejected_records ALTER COLUMN window_start DROP NOT NULL;

-- +goose Down

DELETE FROM rejected_records WHERE window_start IS NULL;
ALTER TABLE rejected_records ALTER COLUMN window_start SET NOT NULL;

CREATE OR REPLACE VIEW window_coverage AS
SELECT f.provider,
       f.function_urn,
       w.window_start,
       w.state,
       w.records,
       w.pending,
       w.source_count,
       w.attempts,
       w.last_error,
       w.completed_at,
       w.rejected
  FROM windows w
  JOIN functions f USING (function_id);

DROP VIEW window_states;
DROP VIEW status_log_off;
DROP VIEW notification_settings;
DROP VIEW notification_settings_history;
DROP TABLE notification_setting_versions;
ALTER TABLE functions DROP COLUMN settings_asked_at;
