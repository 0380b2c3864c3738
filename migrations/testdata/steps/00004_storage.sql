-- When autovacuum comes to tables that are written once, and to windows.

-- +goose Up

-- Settled rows are written once. The vacuum that follows them freezes what it
-- visits, and comes after 5% of new rows: the reasons and figures stand beside
-- dayStorage in internal/load/partitions.go, which new days are made with.
ALTER TABLE invocations_undated SET (
    autovacuum_freeze_min_age = 0,
    autovacuum_vacuum_insert_scale_factor = 0.05);

-- +goose StatementBegin
DO $$
DECLARE
    day regclass;
BEGIN
    FOR day IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'invocations_dated'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0.05)', day);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Only the newest windows ever change. The default, a fifth of the table, is
-- five weeks of a year's; until then each look at the newest goes to the heap
-- and past their dead versions (909 pages for 1,665 windows, 12 after a vacuum).
-- With 1.4 million windows a vacuum at 2% takes 0.13 s, every few days.
--
-- No fillfactor here: a window changes its state, once read, and is verified,
-- and as partial indexes find the few open and unverified ones by just these,
-- neither update is ever HOT (0.1% of them, at 100, 80 and 50 alike). Without
-- the indexes each plan would read the whole history. Nor for claims and walks,
-- rewritten by every commit: 98% of their updates are HOT as they are, and 50
-- changed that by less than it varies. What is in flight comes and goes in a
-- table too small to matter, and a run is written twice.
ALTER TABLE windows SET (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02);

-- +goose Down

ALTER TABLE windows RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);

-- +goose StatementBegin
DO $$
DECLARE
    day regclass;
BEGIN
    FOR day IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'invocations_dated'::regclass LOOP
        EXECUTE format('ALTER TABLE %s RESET (autovacuum_freeze_min_age, autovacuum_vacuum_insert_scale_factor)', day);
    END LOOP;
END
$$;
-- +goose StatementEnd

ALTER TABLE invocations_undated RESET (autovacuum_freeze_min_age, autovacuum_vacuum_insert_scale_factor);
