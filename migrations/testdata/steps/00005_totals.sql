-- What a function's windows amount to, so that nobody has to count them.

-- +goose Up

-- One row a function, kept by triggers on windows in the transaction of each
-- change, whoever makes it. From and to are the first of such windows and the
-- end of the last one; where the hours between them are as many as the windows,
-- none is missing there.
--
-- A row is rewritten by every commit of its function, and no index but the key
-- names a column: with half of each page left free, the new version finds room
-- on its page and the old ones are cleared away there (HOT).
CREATE TABLE window_totals (
    function_id      integer PRIMARY KEY,
    windows          integer NOT NULL, -- planned
    complete         integer NOT NULL,
    open             integer NOT NULL, -- planned, and neither complete nor gone
    short            integer NOT NULL,
    failed           integer NOT NULL,
    gone             integer NOT NULL,
    unverified       integer NOT NULL, -- complete, and not verified since
    records          bigint NOT NULL,
    pending          bigint NOT NULL,
    rejected         bigint NOT NULL,
    planned_from     timestamptz,
    planned_to       timestamptz,
    complete_from    timestamptz,
    complete_to      timestamptz,
    unverified_since timestamptz,     -- none of them was completed before; a lower bound
    recorded_to      timestamptz,     -- the end of the last one that had records; an upper bound
    ends_lost        boolean NOT NULL -- from and to may be too wide; never so when a statement ends
) WITH (fillfactor = 50);

-- The last error of what is open, found without a way through all of that.
CREATE INDEX windows_erring ON windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone') AND last_error IS NOT NULL;

-- A trigger's transition tables go by these names, and come before views. The
-- one for INSERT has no windows_before and the one for DELETE no windows_after:
-- there one statement, the same for all, finds these, which are empty.
CREATE VIEW windows_before AS
SELECT function_id, window_start, state, planned, records, pending, rejected, completed_at, verified_at
  FROM windows
 WHERE false;
CREATE VIEW windows_after AS
SELECT * FROM windows_before;

-- Adds a statement's changes to the totals. Of two transactions that change one
-- function the second waits for the first's row and adds to what that left: no
-- change is lost.
--
-- They do not deadlock. Whoever writes windows takes the totals of their
-- functions first, in the order of their ids: each function has a row of them
-- from its beginning.
--
-- This is part of every commit of a page, an upsert, which fires for INSERT
-- too, mostly for nothing. No statement in here names a variable, so that each
-- is planned once a session.
-- +goose StatementBegin
CREATE FUNCTION add_windows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM windows_after) THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO window_totals AS t
    SELECT d.*
      FROM (
        SELECT function_id,
               COALESCE(sum(n) FILTER (WHERE planned), 0) AS windows,
               COALESCE(sum(n) FILTER (WHERE complete), 0) AS complete,
               COALESCE(sum(n) FILTER (WHERE planned AND NOT complete AND NOT gone), 0) AS open,
               COALESCE(sum(n) FILTER (WHERE short), 0) AS short,
               COALESCE(sum(n) FILTER (WHERE failed), 0) AS failed,
               COALESCE(sum(n) FILTER (WHERE gone), 0) AS gone,
               COALESCE(sum(n) FILTER (WHERE unverified), 0) AS unverified,
               sum(n * records) AS records, sum(n * pending) AS pending, sum(n * rejected) AS rejected,
               min(window_start) FILTER (WHERE planned) AS planned_from,
               max(window_start) FILTER (WHERE planned) + interval '1 hour' AS planned_to,
               min(window_start) FILTER (WHERE complete) AS complete_from,
               max(window_start) FILTER (WHERE complete) + interval '1 hour' AS complete_to,
               min(completed_at) FILTER (WHERE unverified AND n > 0) AS unverified_since,
               max(window_start) FILTER (WHERE records > 0 AND n > 0) + interval '1 hour' AS recorded_to,
               (min(window_start) FILTER (WHERE planned), max(window_start) FILTER (WHERE planned),
                min(window_start) FILTER (WHERE complete), max(window_start) FILTER (WHERE complete))
               IS DISTINCT FROM
               (min(window_start) FILTER (WHERE planned AND n > 0), max(window_start) FILTER (WHERE planned AND n > 0),
                min(window_start) FILTER (WHERE complete AND n > 0), max(window_start) FILTER (WHERE complete AND n > 0)) AS ends_lost
          FROM (
            SELECT n, function_id, window_start, planned, state = 'complete' AS complete, state = 'short' AS short,
                   state = 'failed' AS failed, state = 'gone' AS gone, state = 'complete' AND verified_at IS NULL AS unverified,
                   records, pending, rejected, completed_at
              FROM (
                SELECT 1 AS n, function_id, window_start, state, planned, records, pending, rejected, completed_at, verified_at
                  FROM windows_after
                 UNION ALL
                SELECT -1, function_id, window_start, state, planned, records, pending, rejected, completed_at, verified_at
                  FROM windows_before
              ) AS w
          ) AS w
         GROUP BY function_id
      ) AS d
     WHERE ends_lost OR unverified_since IS NOT NULL OR recorded_to IS NOT NULL
        OR (windows, complete, open, short, failed, gone, unverified, records, pending, rejected) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
     ORDER BY function_id
        ON CONFLICT (function_id) DO UPDATE
       SET windows = t.windows + EXCLUDED.windows,
           complete = t.complete + EXCLUDED.complete,
           open = t.open + EXCLUDED.open,
           short = t.short + EXCLUDED.short,
           failed = t.failed + EXCLUDED.failed,
           gone = t.gone + EXCLUDED.gone,
           unverified = t.unverified + EXCLUDED.unverified,
           records = t.records + EXCLUDED.records,
           pending = t.pending + EXCLUDED.pending,
           rejected = t.rejected + EXCLUDED.rejected,
           planned_from = LEAST(t.planned_from, EXCLUDED.planned_from),
           planned_to = GREATEST(t.planned_to, EXCLUDED.planned_to),
           complete_from = LEAST(t.complete_from, EXCLUDED.complete_from),
           complete_to = GREATEST(t.complete_to, EXCLUDED.complete_to),
           unverified_since = CASE WHEN t.unverified + EXCLUDED.unverified > 0
                                   THEN LEAST(t.unverified_since, EXCLUDED.unverified_since) END,
           recorded_to = GREATEST(t.recorded_to, EXCLUDED.recorded_to),
           ends_lost = EXCLUDED.ends_lost AND COALESCE(
               EXCLUDED.planned_from <= t.planned_from OR EXCLUDED.planned_to >= t.planned_to
               OR EXCLUDED.complete_from <= t.complete_from OR EXCLUDED.complete_to >= t.complete_to, false);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER add_inserted AFTER INSERT ON windows
    REFERENCING NEW TABLE AS windows_after
    FOR EACH STATEMENT EXECUTE FUNCTION add_windows();
CREATE TRIGGER add_updated AFTER UPDATE ON windows
    REFERENCING OLD TABLE AS windows_before NEW TABLE AS windows_after
    FOR EACH STATEMENT EXECUTE FUNCTION add_windows();
CREATE TRIGGER add_deleted AFTER DELETE ON windows
    REFERENCING OLD TABLE AS windows_before
    FOR EACH STATEMENT EXECUTE FUNCTION add_windows();

-- The first or the last of the windows is not one of them any more: the next
-- one is looked up. That it is done after the row of totals was taken, by a
-- statement of its own, makes it see all that was committed before; whoever
-- comes later finds what it leaves.
-- +goose StatementBegin
CREATE FUNCTION find_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE window_totals
       SET (planned_from, planned_to) = (
               SELECT min(window_start), max(window_start) + interval '1 hour'
                 FROM windows WHERE function_id = NEW.function_id AND planned),
           (complete_from, complete_to) = (
               SELECT min(window_start), max(window_start) + interval '1 hour'
                 FROM windows WHERE function_id = NEW.function_id AND state = 'complete'),
           ends_lost = false
     WHERE function_id = NEW.function_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER find_ends AFTER UPDATE ON window_totals
    FOR EACH ROW WHEN (NEW.ends_lost) EXECUTE FUNCTION find_ends();

-- +goose StatementBegin
CREATE FUNCTION begin_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO window_totals
    VALUES (NEW.function_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, false)
        ON CONFLICT (function_id) DO NOTHING;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER begin_totals AFTER INSERT ON functions
    FOR EACH ROW EXECUTE FUNCTION begin_totals();

-- +goose StatementBegin
CREATE FUNCTION forget_windows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM window_totals;
    INSERT INTO window_totals
    SELECT function_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, false
      FROM functions;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER forget_truncated AFTER TRUNCATE ON windows
    FOR EACH STATEMENT EXECUTE FUNCTION forget_windows();

-- The triggers' lock lasts until this is committed: nothing is written between.
INSERT INTO window_totals
SELECT f.function_id,
       count(*) FILTER (WHERE planned),
       count(*) FILTER (WHERE state = 'complete'),
       count(*) FILTER (WHERE planned AND state NOT IN ('complete', 'gone')),
       count(*) FILTER (WHERE state = 'short'),
       count(*) FILTER (WHERE state = 'failed'),
       count(*) FILTER (WHERE state = 'gone'),
       count(*) FILTER (WHERE state = 'complete' AND verified_at IS NULL),
       COALESCE(sum(records), 0), COALESCE(sum(pending), 0), COALESCE(sum(rejected), 0),
       min(window_start) FILTER (WHERE planned),
       max(window_start) FILTER (WHERE planned) + interval '1 hour',
       min(window_start) FILTER (WHERE state = 'complete'),
       max(window_start) FILTER (WHERE state = 'complete') + interval '1 hour',
       min(completed_at) FILTER (WHERE state = 'complete' AND verified_at IS NULL),
       max(window_start) FILTER (WHERE records > 0) + interval '1 hour',
       false
  FROM functions f
  LEFT JOIN windows w ON w.function_id = f.function_id
 GROUP BY f.function_id;

-- +goose Down

DROP TRIGGER forget_truncated ON windows;
DROP TRIGGER begin_totals ON functions;
DROP TRIGGER add_deleted ON windows;
DROP TRIGGER add_updated ON windows;
DROP TRIGGER add_inserted ON windows;
DROP TABLE window_totals;
DROP FUNCTION forget_windows;
DROP FUNCTION begin_totals;
DROP FUNCTION find_ends;
DROP FUNCTION add_windows;
DROP VIEW windows_after;
DROP VIEW windows_before;
DROP INDEX windows_erring;
