-- Sources: when their passes come and how they end, and functions that are no longer wanted.
--
-- A source is an account in one region, or a part of its functions under a name of its own.
-- What a pass did stands in runs alone: the view
-- sources reads it there, so that no second place can say something else.

-- +goose Up

CREATE TABLE archiver_internal.source_notes (
    source_id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text COLLATE "C" NOT NULL,
    provider         text COLLATE "C" NOT NULL,
    region           text COLLATE "C" NOT NULL,
    project_id       text COLLATE "C" NOT NULL,
    first_seen       timestamptz NOT NULL,
    last_seen        timestamptz NOT NULL,
    source_retention interval,
    pass_every       interval,
    next_attempt_at  timestamptz,
    due_by           timestamptz,
    ignored_at       timestamptz,
    ignored_by       text,
    ignored_reason   text,
    UNIQUE (provider, region, project_id, name)
);

COMMENT ON TABLE archiver_internal.source_notes IS
    'One row for each source: what its runs noted of it. The view sources adds how its passes ended.';

INSERT INTO archiver_internal.source_notes (name, provider, region, project_id, first_seen, last_seen)
SELECT concat_ws('/', provider, NULLIF(region, ''), NULLIF(project_id, '')), provider, region, project_id, min(first_seen), max(last_seen)
  FROM functions
 GROUP BY provider, region, project_id;

-- Of earlier passes it is only known that they were to come every hour.
UPDATE archiver_internal.source_notes
   SET pass_every = interval '1 hour', due_by = p.last + interval '2 hours 15 minutes'
  FROM (SELECT max(started_at) AS last FROM runs WHERE asked_by IN ('run', 'once')) AS p
 WHERE p.last IS NOT NULL;

ALTER TABLE runs ADD COLUMN source_id integer REFERENCES archiver_internal.source_notes;
COMMENT ON COLUMN runs.source_id IS
    'The source: see sources. NULL for runs before sources were noted, if there were several.';

UPDATE runs
   SET source_id = (SELECT source_id FROM archiver_internal.source_notes)
 WHERE (SELECT count(*) FROM archiver_internal.source_notes) = 1;

-- As before, no index has a column that a running run writes.
DROP INDEX runs_succeeded;
CREATE INDEX runs_succeeded ON runs (source_id, run_id) WHERE outcome = 'complete' AND asked_by IN ('run', 'once');
CREATE INDEX runs_passes ON runs (source_id, run_id) WHERE asked_by IN ('run', 'once');

-- A pass is a run that archives what is due: one of run or once. An interrupted pass has
-- neither succeeded nor failed.
CREATE VIEW sources AS
SELECT s.source_id,
       s.name,
       s.provider,
       s.region,
       s.project_id,
       s.first_seen,
       s.last_seen,
       success.finished_at AS last_success_at,
       ended.outcome AS last_outcome,
       ended.error AS last_error,
       failing.since AS failing_since,
       failing.passes AS failed_passes,
       s.next_attempt_at,
       s.pass_every,
       s.due_by,
       s.source_retention,
       s.ignored_at,
       s.ignored_by,
       s.ignored_reason
  FROM archiver_internal.source_notes s
  LEFT JOIN LATERAL (
	SELECT run_id, finished_at
	  FROM runs
	 WHERE source_id = s.source_id AND outcome = 'complete' AND asked_by IN ('run', 'once')
	 ORDER BY run_id DESC
	 LIMIT 1) AS success ON true
  LEFT JOIN LATERAL (
	SELECT outcome, error
	  FROM runs
	 WHERE source_id = s.source_id AND outcome IN ('complete', 'incomplete', 'failed') AND asked_by IN ('run', 'once')
	 ORDER BY run_id DESC
	 LIMIT 1) AS ended ON true
 CROSS JOIN LATERAL (
	SELECT count(*) AS passes, min(finished_at) AS since
	  FROM runs
	 WHERE source_id = s.source_id AND run_id > COALESCE(success.run_id, 0)
	   AND outcome IN ('incomplete', 'failed') AND asked_by IN ('run', 'once')) AS failing;

COMMENT ON VIEW sources IS
    'One row for each source: an account in one region, or a part of its functions under a name of its own. A pass is a run of archiver run or once.';

ALTER TABLE functions
    ADD COLUMN source_id      integer REFERENCES archiver_internal.source_notes,
    ADD COLUMN excluded_since timestamptz,
    ADD COLUMN ignored_at     timestamptz,
    ADD COLUMN ignored_by     text,
    ADD COLUMN ignored_reason text,
    ADD COLUMN standing       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE WHEN ignored_at IS NOT NULL THEN 'ignored'
             WHEN excluded_since IS NOT NULL THEN 'excluded'
             WHEN gone_at IS NOT NULL THEN 'gone'
             WHEN missing_since IS NOT NULL THEN 'missing'
             ELSE 'wanted' END) STORED;

UPDATE functions f
   SET source_id = n.source_id
  FROM archiver_internal.source_notes n
 WHERE (n.provider, n.region, n.project_id) = (f.provider, f.region, f.project_id);

COMMENT ON COLUMN functions.source_id IS
    'The source whose passes read the function, or were the last to do so: see sources. NULL before any run of its account was noted.';
COMMENT ON COLUMN functions.excluded_since IS
    'Since when the passes of its source leave the function out (--functions). NULL if they do not.';
COMMENT ON COLUMN functions.ignored_at IS
    'When archiver ignore gave the function up. NULL if it is not given up.';
COMMENT ON COLUMN functions.ignored_by IS
    'The user who gave the function up.';
COMMENT ON COLUMN functions.ignored_reason IS
    'Why the function was given up.';
COMMENT ON COLUMN functions.standing IS
    'wanted; or why nothing is expected of the function: missing (whole lists do not name it), gone, excluded, or ignored. Only the hours of wanted functions count in the verdict.';

-- Columns of the table and of the view mean the same.
-- +goose StatementBegin
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT a.attrelid::regclass AS relation, a.attname, m.meaning
          FROM (VALUES
                ('source_id', 'Number of the source in this archive.'),
                ('name', 'Name of the source in the configuration file; without a name, made of provider, region and project.'),
                ('provider', 'Cloud service: functiongraph or functioncompute.'),
                ('region', 'Region of the service.'),
                ('project_id', 'Project of the account; the account itself if the service has no projects. Empty while no pass could find it out.'),
                ('first_seen', 'When its first run began.'),
                ('last_seen', 'When its last run began, of any command.'),
                ('last_success_at', 'When a pass last ended with all archived that was due. NULL for never.'),
                ('last_outcome', 'How the last pass ended: complete, incomplete or failed. Interrupted passes do not count.'),
                ('last_error', 'Why the last pass was not complete.'),
                ('failing_since', 'When the first pass after the last success ended without success. NULL if there is none.'),
                ('failed_passes', 'How many passes have ended without success since the last success.'),
                ('next_attempt_at', 'When the next pass begins: by the schedule of run, or if once makes the passes, as the last ones came.'),
                ('pass_every', 'How often passes come. NULL if there was no pass.'),
                ('due_by', 'If no pass begins by this time, two were missed. NULL if there was no pass.'),
                ('ignored_at', 'When archiver ignore gave the source up. NULL if it is not given up: its next pass takes it back.'),
                ('ignored_by', 'The user who gave the source up.'),
                ('ignored_reason', 'Why the source was given up.'),
                ('source_retention', 'How long the source keeps records: --source-retention of the last run.')
            ) AS m (attname, meaning)
          JOIN pg_attribute a ON a.attname = m.attname AND a.attnum > 0
         WHERE a.attrelid = ANY ('{archiver_internal.source_notes, sources}'::regclass[])
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.relation, c.attname, c.meaning);
    END LOOP;
END
$$;
-- +goose StatementEnd

SELECT archiver_internal.allow_reading('archiver_internal.source_notes', 'sources');

-- +goose Down

ALTER TABLE functions DROP COLUMN standing;
ALTER TABLE functions DROP COLUMN ignored_reason;
ALTER TABLE functions DROP COLUMN ignored_by;
ALTER TABLE functions DROP COLUMN ignored_at;
ALTER TABLE functions DROP COLUMN excluded_since;
ALTER TABLE functions DROP COLUMN source_id;
DROP VIEW sources;
DROP INDEX runs_passes;
DROP INDEX runs_succeeded;
CREATE INDEX runs_succeeded ON runs (run_id) WHERE outcome = 'complete' AND asked_by IN ('run', 'once');
ALTER TABLE runs DROP COLUMN source_id;
DROP TABLE archiver_internal.source_notes;
