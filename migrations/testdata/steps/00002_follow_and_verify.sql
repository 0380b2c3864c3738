-- When a window's records in flight are asked for again, and when its count was
-- last compared with the source's.

-- +goose Up

-- Some of the function's records came back for a question that their start does
-- not answer: the source files them by another time, and its counts by the hour
-- are not those of the starts.
ALTER TABLE functions ADD COLUMN strays boolean NOT NULL DEFAULT false;

ALTER TABLE windows
    ADD COLUMN recheck_at  timestamptz,
    ADD COLUMN rechecks    smallint NOT NULL DEFAULT 0,
    ADD COLUMN verified_at timestamptz;

CREATE INDEX windows_recheck ON windows (function_id, recheck_at)
    WHERE recheck_at IS NOT NULL;

CREATE INDEX windows_unverified ON windows (function_id, window_start)
    WHERE state = 'complete' AND verified_at IS NULL;

-- +goose Down

DROP INDEX windows_unverified;
DROP INDEX windows_recheck;
ALTER TABLE windows
    DROP COLUMN verified_at,
    DROP COLUMN rechecks,
    DROP COLUMN recheck_at;
ALTER TABLE functions DROP COLUMN strays;
