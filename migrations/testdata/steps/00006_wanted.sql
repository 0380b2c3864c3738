-- Work that another process waits for is shared with it.

-- +goose Up

-- Set by a process that has nothing else to do, read by the owner with each of
-- its commits, taken back by whoever claims the function next.
ALTER TABLE claims ADD COLUMN wanted boolean NOT NULL DEFAULT false;

-- +goose Down

ALTER TABLE claims DROP COLUMN wanted;
