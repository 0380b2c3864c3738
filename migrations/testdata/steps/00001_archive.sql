-- The archive: functions, their windows and walks, the invocations.

-- +goose Up

CREATE TABLE functions (
    function_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider      text COLLATE "C" NOT NULL,
    region        text COLLATE "C" NOT NULL,
    project_id    text COLLATE "C" NOT NULL,
    function_urn  text COLLATE "C" NOT NULL,
    function_name text COLLATE "C" NOT NULL,
    first_seen    timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL,
    gone_at       timestamptz,
    UNIQUE (provider, region, project_id, function_urn)
);

-- Who works on a function now. The epoch grows with every claim: a worker
-- whose epoch is no longer the row's has lost the function, and each of its
-- transactions finds that out before it writes. The owner is a process, which
-- holds an advisory lock of that number for as long as its session lives.
CREATE TABLE claims (
    function_id integer PRIMARY KEY REFERENCES functions,
    owner       integer NOT NULL,
    epoch       bigint NOT NULL,
    expires_at  timestamptz NOT NULL
);

-- The checkpoints. records, pending and rejected are what the archive holds of
-- the window, kept in step by each commit; the rest is how reading it went. A
-- row that is not planned came about by a record found while asking for
-- another window.
CREATE TABLE windows (
    function_id  integer NOT NULL,
    window_start timestamptz NOT NULL,
    state        text COLLATE "C" NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'partial', 'complete', 'short', 'failed', 'gone')),
    planned      boolean NOT NULL DEFAULT false,
    records      integer NOT NULL DEFAULT 0,
    pending      integer NOT NULL DEFAULT 0,
    rejected     integer NOT NULL DEFAULT 0,
    source_count integer,
    attempts     integer NOT NULL DEFAULT 0,
    last_error   text,
    completed_at timestamptz,
    PRIMARY KEY (function_id, window_start)
);

-- Few windows are ever open at once, however long the history.
CREATE INDEX windows_open ON windows (function_id, window_start)
    WHERE planned AND state NOT IN ('complete', 'gone');

-- Spans begun and not finished: where the next run goes on. source_cursor is
-- the source's own word for the page after the last one kept, source_count its
-- count as of that page.
CREATE TABLE walks (
    function_id   integer NOT NULL,
    span_from     timestamptz NOT NULL,
    span_to       timestamptz NOT NULL,
    source_cursor text NOT NULL,
    seen          integer NOT NULL,
    source_count  integer,
    PRIMARY KEY (function_id, span_from)
);

-- One row per request_id. Records in flight, the only ones that change by
-- themselves or have no start yet, share one small partition; the settled ones
-- lie by day of start_time, written once. Every leaf has its own unique index
-- on request_id; that one id is in one leaf only is what commits see to (see
-- internal/load/commit.go). The days are made as they are needed.
--
-- The widest fixed columns come first, so that no row is padded. Neither the
-- function's URN nor the source's word for a status that is ours is repeated.
CREATE TABLE invocations (
    first_archived_at timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    start_time        timestamptz,
    end_time          timestamptz,
    queried_window    timestamptz,
    function_id       integer NOT NULL,
    request_id        varchar(64) COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL,
    source_status     text COLLATE "C",
    error_code        text COLLATE "C",
    error_message     text,
    extra             jsonb
) PARTITION BY LIST (status);

CREATE TABLE invocations_in_flight PARTITION OF invocations
    FOR VALUES IN ('WAIT', 'RUNNING');
CREATE UNIQUE INDEX invocations_in_flight_request_id ON invocations_in_flight (request_id);
CREATE INDEX invocations_in_flight_function_id ON invocations_in_flight (function_id);

-- The days have no default partition beside them: attaching one would have to
-- lock it, and so wait for every transaction that ever looked at invocations.
CREATE TABLE invocations_settled PARTITION OF invocations DEFAULT
    PARTITION BY LIST ((start_time IS NULL));

-- Settled without ever having started: a discarded request.
CREATE TABLE invocations_undated PARTITION OF invocations_settled
    FOR VALUES IN (true);
CREATE UNIQUE INDEX invocations_undated_request_id ON invocations_undated (request_id);
CREATE INDEX invocations_undated_window ON invocations_undated (function_id, queried_window);

CREATE TABLE invocations_dated PARTITION OF invocations_settled
    FOR VALUES IN (false) PARTITION BY RANGE (start_time);

CREATE TABLE rejected_records (
    rejected_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    function_id  integer NOT NULL REFERENCES functions,
    window_start timestamptz NOT NULL,
    reason       text NOT NULL,
    payload      text NOT NULL,
    rejected_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX rejected_records_payload ON rejected_records (function_id, md5(payload));

CREATE TABLE runs (
    run_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_by    text NOT NULL,
    range_from  timestamptz NOT NULL,
    range_to    timestamptz NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    windows     integer,
    complete    integer,
    records     bigint,
    inserted    bigint,
    rejected    bigint,
    calls       bigint,
    outcome     text COLLATE "C" NOT NULL DEFAULT 'running'
                CHECK (outcome IN ('running', 'complete', 'incomplete', 'interrupted', 'failed')),
    error       text
);

CREATE VIEW invocation_history AS
SELECT f.provider,
       f.region,
       f.project_id,
       f.function_urn,
       f.function_name,
       i.request_id,
       i.status,
       COALESCE(i.source_status, i.status) AS source_status,
       i.error_code,
       i.error_message,
       i.start_time,
       i.end_time,
       EXTRACT(EPOCH FROM i.end_time - i.start_time)::double precision AS duration_seconds,
       i.extra,
       date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC') AS window_start,
       i.first_archived_at,
       i.updated_at
  FROM invocations i
  JOIN functions f USING (function_id);

CREATE VIEW window_coverage AS
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

-- +goose Down

DROP VIEW window_coverage;
DROP VIEW invocation_history;
DROP TABLE runs;
DROP TABLE rejected_records;
DROP TABLE invocations;
DROP TABLE walks;
DROP TABLE windows;
DROP TABLE claims;
DROP TABLE functions;
