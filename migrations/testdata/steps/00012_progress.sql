-- How far a run has come, while it goes on.

-- +goose Up

-- Noted by the process that makes the run, every few seconds, and once more when
-- it ends: whoever looks tells a run that goes on from one whose process died,
-- and says what is left. All of them are NULL for runs of before. One UPDATE of
-- one row: no index has one of these columns, so it stays on its page (HOT).
ALTER TABLE runs
    ADD COLUMN seen_at         timestamptz,
    ADD COLUMN windows_planned bigint,
    ADD COLUMN windows_done    bigint,
    ADD COLUMN records_done    bigint,
    ADD COLUMN calls_done      bigint,
    ADD COLUMN refused_done    bigint;

COMMENT ON COLUMN runs.seen_at IS 'When the process that makes the run last noted how far it has come, by its own clock: every five seconds while it goes on. A run without an end that was not seen for a minute has died';
COMMENT ON COLUMN runs.windows_planned IS 'Windows that are due in this run, as far as it knows by seen_at; 0 before that is known';
COMMENT ON COLUMN runs.windows_done IS 'Of these, windows decided by seen_at, whichever way';
COMMENT ON COLUMN runs.records_done IS 'Records read and kept by seen_at, new or known before';
COMMENT ON COLUMN runs.calls_done IS 'Calls made to the source by seen_at, those tried again included';
COMMENT ON COLUMN runs.refused_done IS 'Of these, calls that the source answered with "too many"';

-- For whoever looks which runs go on, and when all that was due was archived
-- last: the first are few, and the other may be long ago, or never.
CREATE INDEX runs_running ON runs (run_id) WHERE outcome = 'running';
CREATE INDEX runs_succeeded ON runs (run_id) WHERE outcome = 'complete' AND asked_by IN ('run', 'once');

-- +goose Down

DROP INDEX runs_succeeded;
DROP INDEX runs_running;
ALTER TABLE runs
    DROP COLUMN refused_done,
    DROP COLUMN calls_done,
    DROP COLUMN records_done,
    DROP COLUMN windows_done,
    DROP COLUMN windows_planned,
    DROP COLUMN seen_at;
