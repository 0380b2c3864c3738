-- What tables, views and columns mean, for whoever looks at them with psql or a
-- tool, and a role that may read them.

-- +goose Up

COMMENT ON TABLE functions IS
    'Every function, or version of one, that a source has listed.';
COMMENT ON TABLE function_aliases IS
    'Aliases of functions as they were when last listed.';
COMMENT ON VIEW function_versions IS
    'Each version of a function with its aliases, and since when another one''s list is known to have its records.';
COMMENT ON TABLE claims IS
    'Who works on a function now. Of no use to readers.';
COMMENT ON TABLE windows IS
    'One row a function and hour: how reading it went, and what the archive has of it. window_coverage shows it with names.';
COMMENT ON VIEW window_coverage IS
    'One row a function and hour: whether it is complete, and what keeps it from being so.';
COMMENT ON VIEW window_states IS
    'window_coverage with the number of the function.';
COMMENT ON TABLE window_totals IS
    'What the windows of each function amount to, kept by triggers.';
COMMENT ON VIEW windows_before IS
    'Stands in for a trigger''s table of rows before a change. Always empty.';
COMMENT ON VIEW windows_after IS
    'Stands in for a trigger''s table of rows after a change. Always empty.';
COMMENT ON TABLE walks IS
    'Spans that are being read, and where the next page begins.';
COMMENT ON TABLE invocations IS
    'One row a request, partitioned by day of its start. invocation_history shows it with names.';
COMMENT ON TABLE invocations_in_flight IS
    'Those that wait or run.';
COMMENT ON TABLE invocations_settled IS
    'Those that have ended.';
COMMENT ON TABLE invocations_undated IS
    'Those that ended without having started.';
COMMENT ON TABLE invocations_dated IS
    'Those that ended and have a start, a table a UTC day.';
COMMENT ON VIEW invocation_history IS
    'One row a request, with the names of its function: the view to query.';
COMMENT ON VIEW failures IS
    'Each failed or discarded request.';
COMMENT ON TABLE rejected_records IS
    'What a source sent and no row can hold, as it came.';
COMMENT ON TABLE runs IS
    'Each run: what asked for it, what it did, how it ended.';
COMMENT ON TABLE notification_setting_versions IS
    'How each version of a function was invoked asynchronously, and when. notification_settings_history shows it with names.';
COMMENT ON VIEW notification_settings IS
    'How each version of a function is invoked asynchronously now.';
COMMENT ON VIEW notification_settings_history IS
    'How each version of a function was invoked asynchronously: one row a version and change.';
COMMENT ON VIEW status_log_off IS
    'When a source kept no records of a function, because its status log was off.';
COMMENT ON TABLE hourly_figures IS
    'What the records of each function and hour amount to. function_hourly shows it with names.';
COMMENT ON TABLE hourly_figures_dropped IS
    'What of an hour was dropped by retention, where records have come to it since. Contained in hourly_figures.';
COMMENT ON TABLE hourly_figures_due IS
    'Functions and hours whose figures are to be counted again. To have some counted after the next run, insert them.';
COMMENT ON TABLE hourly_error_codes IS
    'Failed and discarded records of each function and hour by error code. error_codes sums it up.';
COMMENT ON TABLE daily_figures IS
    'What the records of each function and UTC day amount to. function_daily shows it with names.';
COMMENT ON TABLE source_figures IS
    'What the records of all functions of a source amount to, by the hour. source_hourly shows it with percentiles.';
COMMENT ON VIEW function_hourly IS
    'One row a function and hour that has records: counts and durations.';
COMMENT ON VIEW function_daily IS
    'One row a function and UTC day: counts, durations, and how many of its hours are complete.';
COMMENT ON VIEW source_hourly IS
    'One row a source and hour that has records: counts and durations of all its functions.';
COMMENT ON VIEW error_codes IS
    'One row a function and error code: how often it came, when first and last, and a message.';
COMMENT ON TABLE goose_db_version IS
    'The steps of the schema that are applied: see archiver migrate status.';

-- A column of one name means the same wherever it is; what differs comes below.
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
                ('project_id', 'Project of the account, or the account itself where the service has none.'),
                ('function_urn', 'The source''s own name of the function, its version included.'),
                ('function_name', 'Name of the function, without its version.'),
                ('function_id', 'Number of the function in this archive: see functions.'),
                ('window_start', 'Beginning of the UTC hour: that of a record''s start, or where it has none, that in which it was found.'),
                ('request_id', 'The source''s id of the request. One row has it.'),
                ('status', 'WAIT, RUNNING, SUCCESS, FAIL or DISCARD, or the source''s own word where it is none of these.'),
                ('source_status', 'The source''s own word for the status.'),
                ('error_code', 'The source''s code; NULL for 0, an empty one or none.'),
                ('error_message', 'The source''s message; NULL for an empty one.'),
                ('start_time', 'When it began to run; NULL where the source gives none.'),
                ('end_time', 'When it ended; NULL where the source gives none.'),
                ('duration_seconds', 'Seconds from start_time to end_time; NULL unless both are there.'),
                ('extra', 'Fields that have no column, under the source''s own names.'),
                ('first_archived_at', 'When the archive first had it.'),
                ('updated_at', 'When the archive last changed it.'),
                ('first_seen', 'When a list of the source had it first.'),
                ('last_seen', 'When a list of the source had it last.'),
                ('gone_at', 'Since when the source does not know it; NULL while it does.'),
                ('version', 'Version of the function.'),
                ('covered_since', 'Since when all records of the version are known to be in another one''s list; NULL where it is read itself.'),
                ('state', 'pending (known, not read), partial (begun), complete, short (the source counts more than it gives), failed, or gone (the function does not answer).'),
                ('planned', 'A run is to read it, or has; false where only a record found by chance made it known.'),
                ('records', 'How many records are counted.'),
                ('pending', 'How many of its records are in flight.'),
                ('rejected', 'How many records of it lie in rejected_records.'),
                ('source_count', 'How many records the source counts; NULL where it does not say.'),
                ('attempts', 'How often reading it came to an end, good or bad.'),
                ('last_error', 'What kept it from being complete, in words.'),
                ('completed_at', 'Since when it is complete.'),
                ('verified_at', 'When its count was last the same as the source''s; NULL since it was last completed.'),
                ('success', 'Records with status SUCCESS.'),
                ('fail', 'Records with status FAIL.'),
                ('discard', 'Records with status DISCARD: never run.'),
                ('in_flight', 'Records that wait or run: status WAIT or RUNNING.'),
                ('other', 'Records whose status is the source''s own word.'),
                ('failure_rate', 'Share of failed and discarded records among those not in flight, from 0 to 1; NULL where there are none.'),
                ('timed', 'Settled records with a start and an end: those that durations are of.'),
                ('total_seconds', 'Sum of their durations. An end before the start counts as no time.'),
                ('mean_seconds', 'Mean of their durations.'),
                ('p50_seconds', 'Median of durations, within 5%.'),
                ('p95_seconds', '95th percentile of durations, within 5%.'),
                ('p99_seconds', '99th percentile of durations, within 5%.'),
                ('max_seconds', 'Longest duration.'),
                ('histogram', 'How many durations each bucket has, as histogram_sum and histogram_percentile take it; NULL for none.'),
                ('dropped_to', 'Set where retention dropped records that are counted: those were archived first at this time or before.'),
                ('sample_message', 'A message that came with it, the last one: its first 500 characters.'),
                ('day', 'UTC day.'),
                ('functions', 'How many functions have records.'),
                ('valid_from', 'Since when it held.'),
                ('valid_to', 'Until when it held; NULL while it does.'),
                ('seen_at', 'When the answer came.'),
                ('created_time', 'The source''s own time of creation.'),
                ('last_modified', 'The source''s own time of the last change.'),
                ('max_async_event_age_in_seconds', 'How long an event may wait before it is discarded.'),
                ('max_async_retry_attempts', 'How often a failed invocation is tried again.'),
                ('on_success_destination', 'Where results go, as the source has it.'),
                ('on_failure_destination', 'Where failures go, as the source has it.'),
                ('enable_async_status_log', 'Whether the source keeps records at all; NULL where it does not say.'),
                ('raw', 'The answer as it came.')
            ) AS m (attname, meaning)
          JOIN pg_attribute a ON a.attname = m.attname AND a.attnum > 0
          JOIN pg_class r ON r.oid = a.attrelid
         WHERE a.attrelid = ANY ('{
                functions, function_aliases, function_versions, claims, windows, window_coverage,
                window_states, window_totals, windows_before, windows_after, walks, invocations,
                invocation_history, failures, rejected_records, runs, notification_setting_versions,
                notification_settings, notification_settings_history, status_log_off, hourly_figures,
                hourly_figures_dropped, hourly_figures_due, hourly_error_codes, daily_figures,
                source_figures, function_hourly, function_daily, source_hourly, error_codes,
                goose_db_version}'::regclass[])
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.relation, c.attname, c.meaning);
    END LOOP;
END
$$;
-- +goose StatementEnd

COMMENT ON COLUMN functions.function_id IS
    'Number of the function in this archive.';
COMMENT ON COLUMN functions.strays IS
    'Some of its records came for hours that their start is not in: the source files them by another time.';
COMMENT ON COLUMN functions.settings_asked_at IS
    'When its notification settings were asked for last.';
COMMENT ON COLUMN functions.latest_id IS
    'Of a version: the function as its source lists it.';
COMMENT ON COLUMN functions.versions_at IS
    'When its versions were listed last.';
COMMENT ON COLUMN functions.versions_mark IS
    'The source''s word for its last change then.';
COMMENT ON COLUMN functions.covered_at IS
    'Of a version: when it was last looked at whether another one''s list has its records.';
COMMENT ON COLUMN functions.covered_to IS
    'The end of the hours that were looked at then.';

COMMENT ON COLUMN function_aliases.alias_name IS
    'Another name of a version.';
COMMENT ON COLUMN function_aliases.description IS
    'The source''s description.';
COMMENT ON COLUMN function_aliases.additional_versions IS
    'Other versions that take a share of its invocations, as the source has it.';

COMMENT ON COLUMN function_versions.aliases IS
    'Its other names.';

COMMENT ON COLUMN claims.owner IS
    'Number of the process that has it.';
COMMENT ON COLUMN claims.epoch IS
    'Grows with every claim.';
COMMENT ON COLUMN claims.expires_at IS
    'When it is free if its owner stays silent.';
COMMENT ON COLUMN claims.wanted IS
    'Another process waits for it.';

COMMENT ON COLUMN windows.records IS
    'How many records the archive has of it.';
COMMENT ON COLUMN windows.recheck_at IS
    'When what is in flight is asked for again.';
COMMENT ON COLUMN windows.rechecks IS
    'How often that was done.';

COMMENT ON COLUMN window_coverage.state IS
    'pending (known, not read), partial (begun), complete, short (the source counts more than it gives), failed, gone (the function does not answer), or off (complete, but the source kept no records for all of the hour).';

COMMENT ON COLUMN window_states.state IS
    'As in window_coverage.';

COMMENT ON COLUMN window_coverage.records IS
    'How many records the archive has of it.';

COMMENT ON COLUMN window_states.records IS
    'How many records the archive has of it.';

COMMENT ON COLUMN windows_before.records IS
    'How many records the archive has of it.';

COMMENT ON COLUMN windows_after.records IS
    'How many records the archive has of it.';

COMMENT ON COLUMN window_totals.windows IS
    'Windows that are planned.';
COMMENT ON COLUMN window_totals.complete IS
    'Those that are complete.';
COMMENT ON COLUMN window_totals.open IS
    'Those that are neither complete nor gone.';
COMMENT ON COLUMN window_totals.short IS
    'Those that are short.';
COMMENT ON COLUMN window_totals.failed IS
    'Those that failed.';
COMMENT ON COLUMN window_totals.gone IS
    'Those that are gone.';
COMMENT ON COLUMN window_totals.unverified IS
    'Those that are complete and not verified since.';
COMMENT ON COLUMN window_totals.records IS
    'Records of all its windows.';
COMMENT ON COLUMN window_totals.pending IS
    'Records in flight of all its windows.';
COMMENT ON COLUMN window_totals.rejected IS
    'Rejected records of all its windows.';
COMMENT ON COLUMN window_totals.planned_from IS
    'Beginning of the first that is planned.';
COMMENT ON COLUMN window_totals.planned_to IS
    'End of the last that is planned.';
COMMENT ON COLUMN window_totals.complete_from IS
    'Beginning of the first that is complete.';
COMMENT ON COLUMN window_totals.complete_to IS
    'End of the last that is complete.';
COMMENT ON COLUMN window_totals.unverified_since IS
    'None of the unverified was completed before.';
COMMENT ON COLUMN window_totals.recorded_to IS
    'None that ends later has records.';
COMMENT ON COLUMN window_totals.ends_lost IS
    'Never true when a statement ends.';

COMMENT ON COLUMN walks.span_from IS
    'Beginning of the span.';
COMMENT ON COLUMN walks.span_to IS
    'End of the span.';
COMMENT ON COLUMN walks.source_cursor IS
    'The source''s word for the next page.';
COMMENT ON COLUMN walks.seen IS
    'How many records it has given so far.';
COMMENT ON COLUMN walks.source_count IS
    'How many it counted as of the last page.';

COMMENT ON COLUMN invocations.queried_window IS
    'The hour it was found in, where it has no start.';
COMMENT ON COLUMN invocations.source_status IS
    'The source''s own word for the status; NULL where that is the same.';

COMMENT ON COLUMN failures.failed_at IS
    'When it ended; where the source does not say, when it began; else the hour it was found in.';

COMMENT ON COLUMN rejected_records.rejected_id IS
    'Number of the record.';
COMMENT ON COLUMN rejected_records.window_start IS
    'The UTC hour it was found in; NULL for what is no record of an invocation.';
COMMENT ON COLUMN rejected_records.reason IS
    'Why no row can hold it.';
COMMENT ON COLUMN rejected_records.payload IS
    'What came.';
COMMENT ON COLUMN rejected_records.rejected_at IS
    'When it came first.';

COMMENT ON COLUMN runs.run_id IS
    'Number of the run: the newest has the highest.';
COMMENT ON COLUMN runs.asked_by IS
    'The command: run, once, backfill or verify.';
COMMENT ON COLUMN runs.range_from IS
    'Beginning of the hours it was asked for.';
COMMENT ON COLUMN runs.range_to IS
    'End of the hours it was asked for.';
COMMENT ON COLUMN runs.started_at IS
    'When it began.';
COMMENT ON COLUMN runs.finished_at IS
    'When it ended; NULL while it goes on, or where it was killed.';
COMMENT ON COLUMN runs.windows IS
    'Windows it was to read.';
COMMENT ON COLUMN runs.complete IS
    'Those of them that are complete.';
COMMENT ON COLUMN runs.records IS
    'Records that the source gave.';
COMMENT ON COLUMN runs.inserted IS
    'Those of them that were new.';
COMMENT ON COLUMN runs.rejected IS
    'Those of them that no row can hold.';
COMMENT ON COLUMN runs.calls IS
    'Calls that it made.';
COMMENT ON COLUMN runs.outcome IS
    'running, complete, incomplete, interrupted or failed.';
COMMENT ON COLUMN runs.error IS
    'Why, in words, where it is not complete.';

COMMENT ON COLUMN notification_setting_versions.setting_id IS
    'Number of the row.';
COMMENT ON COLUMN notification_setting_versions.function_id IS
    'The function that was asked for.';

COMMENT ON COLUMN status_log_off.off_from IS
    'Since when.';
COMMENT ON COLUMN status_log_off.off_to IS
    'Until when; NULL while it goes on.';

COMMENT ON COLUMN daily_figures.complete_hours IS
    'How many of its hours were complete when retention dropped the day; NULL while windows can say.';

COMMENT ON COLUMN function_daily.complete_hours IS
    'How many of its 24 hours are complete, or were when retention dropped the day.';

COMMENT ON COLUMN hourly_error_codes.error_code IS
    'The source''s code, its first 200 characters; empty for none.';
COMMENT ON COLUMN hourly_error_codes.dropped IS
    'Retention dropped these records.';
COMMENT ON COLUMN hourly_error_codes.first_seen IS
    'Start of the first of them.';
COMMENT ON COLUMN hourly_error_codes.last_seen IS
    'Start of the last of them.';

COMMENT ON COLUMN error_codes.first_seen IS
    'Start of the first of them.';
COMMENT ON COLUMN error_codes.last_seen IS
    'Start of the last of them.';

COMMENT ON COLUMN goose_db_version.id IS
    'Number of the row.';
COMMENT ON COLUMN goose_db_version.version_id IS
    'Number of the step.';
COMMENT ON COLUMN goose_db_version.is_applied IS
    'Whether it was applied.';
COMMENT ON COLUMN goose_db_version.tstamp IS
    'When.';

-- Lets the role archiver_reader read tables and views; through a partitioned
-- table all of its partitions, whenever they come. Roles belong to the cluster, so
-- that another archive may have made it. Where this one may not make it, nothing is
-- granted: docs/sql.md says how it is done later.
-- +goose StatementBegin
CREATE FUNCTION allow_reading(VARIADIC relations regclass[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    home     name := (
        SELECT n.nspname
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = relations[1]);
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
    IF NOT has_schema_privilege('archiver_reader', home, 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO archiver_reader', home);
    END IF;
    FOREACH relation IN ARRAY relations LOOP
        EXECUTE format('GRANT SELECT ON %s TO archiver_reader', relation);
    END LOOP;
END
$$;
-- +goose StatementEnd

SELECT allow_reading(
    'functions', 'function_aliases', 'function_versions', 'windows', 'window_coverage', 'window_states',
    'window_totals', 'invocations', 'invocation_history', 'failures', 'rejected_records', 'runs',
    'notification_setting_versions', 'notification_settings', 'notification_settings_history',
    'status_log_off', 'hourly_figures', 'hourly_error_codes', 'daily_figures', 'source_figures',
    'function_hourly', 'function_daily', 'source_hourly', 'error_codes');

-- +goose Down

DROP FUNCTION allow_reading;

-- The role stays: another archive's readers may have it.
-- +goose StatementBegin
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT r.oid::regclass AS relation, r.relkind, a.attname
          FROM pg_class r
          LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE r.oid = ANY ('{
                functions, function_aliases, function_versions, claims, windows, window_coverage,
                window_states, window_totals, windows_before, windows_after, walks, invocations,
                invocations_in_flight, invocations_settled, invocations_undated, invocations_dated,
                invocation_history, failures, rejected_records, runs, notification_setting_versions,
                notification_settings, notification_settings_history, status_log_off, hourly_figures,
                hourly_figures_dropped, hourly_figures_due, hourly_error_codes, daily_figures,
                source_figures, function_hourly, function_daily, source_hourly, error_codes,
                goose_db_version}'::regclass[])
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS NULL', c.relation, c.attname);
        EXECUTE format('COMMENT ON %s %s IS NULL', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.relation);
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'archiver_reader') THEN
            EXECUTE format('REVOKE SELECT ON %s FROM archiver_reader', c.relation);
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd
