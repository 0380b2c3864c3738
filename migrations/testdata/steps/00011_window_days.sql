-- What a function's windows of a day amount to, so that a map of a quarter does
-- not read every hour of it.

-- +goose Up

-- One row a function and UTC day that has windows, kept by triggers on windows
-- in the transaction of each change, whoever makes it. Whoever writes windows
-- holds the totals of their functions (see 00005_totals.sql), and so nobody
-- waits here.
--
-- A day's rows are rewritten as its hours complete, and no index but the key
-- names a column: the room left on each page keeps that HOT.
CREATE TABLE window_days (
    function_id integer NOT NULL,
    day         timestamptz NOT NULL,
    windows     integer NOT NULL, -- planned
    unplanned   integer NOT NULL, -- there by a record found by chance
    complete    integer NOT NULL,
    empty       integer NOT NULL, -- of these, without any record
    in_flight   integer NOT NULL, -- of these, with records in flight
    short       integer NOT NULL,
    failed      integer NOT NULL,
    gone        integer NOT NULL,
    records     bigint NOT NULL,
    pending     bigint NOT NULL,
    PRIMARY KEY (function_id, day)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

COMMENT ON TABLE window_days IS 'What the windows of a function and UTC day amount to; kept by triggers on windows';
COMMENT ON COLUMN window_days.function_id IS 'The function: functions.function_id';
COMMENT ON COLUMN window_days.day IS 'The beginning of the day, UTC';
COMMENT ON COLUMN window_days.windows IS 'Windows planned';
COMMENT ON COLUMN window_days.unplanned IS 'Windows that are there by a record found by chance, and not planned';
COMMENT ON COLUMN window_days.complete IS 'Windows complete';
COMMENT ON COLUMN window_days.empty IS 'Of those complete, windows without any record: off where the source kept none then';
COMMENT ON COLUMN window_days.in_flight IS 'Of those complete, windows with records in flight';
COMMENT ON COLUMN window_days.short IS 'Windows of which the source counts more than it gives';
COMMENT ON COLUMN window_days.failed IS 'Windows whose reading ended with an error';
COMMENT ON COLUMN window_days.gone IS 'Windows not read before the function was gone';
COMMENT ON COLUMN window_days.records IS 'Records archived';
COMMENT ON COLUMN window_days.pending IS 'Records in flight';

SELECT allow_reading('window_days');

-- Adds a statement's changes to the days, as add_windows does to the totals. No
-- statement names a variable here either.
-- +goose StatementBegin
CREATE FUNCTION add_window_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM windows_after) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO window_days AS t
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
               sum(n * pending) AS pending
          FROM (
            SELECT 1 AS n, function_id, date_trunc('day', window_start, 'UTC') AS day, state, planned, records, pending, rejected
              FROM windows_after
             UNION ALL
            SELECT -1, function_id, date_trunc('day', window_start, 'UTC'), state, planned, records, pending, rejected
              FROM windows_before
          ) AS w
         GROUP BY function_id, day
      ) AS d
     WHERE (windows, unplanned, complete, empty, in_flight, short, failed, gone, records, pending) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
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
           pending = t.pending + EXCLUDED.pending;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM window_days d
         USING (SELECT DISTINCT function_id, date_trunc('day', window_start, 'UTC') AS day FROM windows_before) AS w
         WHERE d.function_id = w.function_id AND d.day = w.day AND d.windows = 0 AND d.unplanned = 0;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER days_inserted AFTER INSERT ON windows
    REFERENCING NEW TABLE AS windows_after
    FOR EACH STATEMENT EXECUTE FUNCTION add_window_days();
CREATE TRIGGER days_updated AFTER UPDATE ON windows
    REFERENCING OLD TABLE AS windows_before NEW TABLE AS windows_after
    FOR EACH STATEMENT EXECUTE FUNCTION add_window_days();
CREATE TRIGGER days_deleted AFTER DELETE ON windows
    REFERENCING OLD TABLE AS windows_before
    FOR EACH STATEMENT EXECUTE FUNCTION add_window_days();

-- +goose StatementBegin
CREATE FUNCTION forget_window_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM window_days;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER days_truncated AFTER TRUNCATE ON windows
    FOR EACH STATEMENT EXECUTE FUNCTION forget_window_days();

-- The triggers' lock lasts until this is committed: nothing is written between.
INSERT INTO window_days
SELECT function_id, date_trunc('day', window_start, 'UTC'),
       count(*) FILTER (WHERE planned),
       count(*) FILTER (WHERE NOT planned),
       count(*) FILTER (WHERE state = 'complete'),
       count(*) FILTER (WHERE state = 'complete' AND records = 0 AND rejected = 0),
       count(*) FILTER (WHERE state = 'complete' AND pending > 0),
       count(*) FILTER (WHERE state = 'short'),
       count(*) FILTER (WHERE state = 'failed'),
       count(*) FILTER (WHERE state = 'gone'),
       sum(records), sum(pending)
  FROM windows
 GROUP BY 1, 2;

-- +goose Down

DROP TRIGGER days_truncated ON windows;
DROP TRIGGER days_deleted ON windows;
DROP TRIGGER days_updated ON windows;
DROP TRIGGER days_inserted ON windows;
DROP TABLE window_days;
DROP FUNCTION forget_window_days;
DROP FUNCTION add_window_days;
