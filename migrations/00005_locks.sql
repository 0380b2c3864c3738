-- Locks that no other role can take, whose process a run belongs to, and its clocks.

-- +goose Up

-- Locks of tables, in place of advisory locks, whose keys every role may take.
CREATE TABLE archiver_internal.commit_lock ();
CREATE TABLE archiver_internal.figures_lock ();
ALTER TABLE archiver_internal.commit_lock REPLICA IDENTITY FULL;
ALTER TABLE archiver_internal.figures_lock REPLICA IDENTITY FULL;
COMMENT ON TABLE archiver_internal.commit_lock IS
    'Is empty. Locked by each commit, and exclusively by a commit that is tried again and by retention.';
COMMENT ON TABLE archiver_internal.figures_lock IS
    'Is empty. Locked by the transaction that counts figures.';

ALTER TABLE runs ADD COLUMN owner integer, ADD COLUMN clocks text;
COMMENT ON COLUMN runs.owner IS
    'Number of the process that makes the run, as in archiver_internal.claims.';
COMMENT ON COLUMN runs.clocks IS
    'If the clocks of the machine, the database and the source differed by more than half of --settle: what they showed.';
COMMENT ON COLUMN runs.finished_at IS
    'When the run ended. NULL while it lasts. If its process died: when it was last heard of, as the next run notes.';

-- +goose Down

COMMENT ON COLUMN runs.finished_at IS
    'When the run ended. NULL while it lasts, and if its process was killed.';
ALTER TABLE runs DROP COLUMN owner, DROP COLUMN clocks;
DROP TABLE archiver_internal.figures_lock;
DROP TABLE archiver_internal.commit_lock;
