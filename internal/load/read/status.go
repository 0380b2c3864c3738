package read

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// A FunctionStatus is what is archived of one function, and what is not.
type FunctionStatus struct {
	Provider string     `json:"provider"`
	Region   string     `json:"region"`
	URN      string     `json:"function_urn"`
	Name     string     `json:"function_name"`
	GoneAt   *time.Time `json:"gone_at,omitempty"`
	Windows  int64      `json:"windows"`
	Complete int64      `json:"complete"`
	Open     int64      `json:"open"` // planned, and neither complete nor gone
	Short    int64      `json:"short"`
	Failed   int64      `json:"failed"`
	Gone     int64      `json:"gone"`
	Records  int64      `json:"records"`
	Pending  int64      `json:"pending"` // records in flight
	Rejected int64      `json:"rejected"`
	// From is the first window complete, To the end of the last one.
	From *time.Time `json:"complete_from,omitempty"`
	To   *time.Time `json:"complete_to,omitempty"`
	// OpenSince is the first window that is not complete.
	OpenSince *time.Time `json:"open_since,omitempty"`
	LastError *string    `json:"last_error,omitempty"`
	// Off are windows in all of which the source kept no records: not counted
	// as complete. OffSince is since when it keeps none.
	Off      int64      `json:"off,omitempty"`
	OffSince *time.Time `json:"status_log_off_since,omitempty"`
}

// Status is the state of every function, those with open windows first. It
// reads the totals, and windows only of functions with open ones, two look-ups
// each, and of those whose status log is, or was, off.
func (a *Archive) Status(ctx context.Context) ([]FunctionStatus, error) {
	rows, err := a.db.Pool.Query(ctx, SelectStatus)
	if err != nil {
		return nil, fmt.Errorf("select the state of functions: %w", err)
	}
	status, err := pgx.CollectRows(rows, pgx.RowToStructByPos[FunctionStatus])
	if err != nil {
		return nil, fmt.Errorf("read the state of functions: %w", err)
	}
	return status, nil
}

const SelectStatus = `
	SELECT f.provider, f.region, f.function_urn, f.function_name, f.gone_at,
	       COALESCE(t.windows, 0), COALESCE(t.complete, 0) - COALESCE(l.off, 0), COALESCE(t.open, 0),
	       COALESCE(t.short, 0), COALESCE(t.failed, 0), COALESCE(t.gone, 0),
	       COALESCE(t.records, 0), COALESCE(t.pending, 0), COALESCE(t.rejected, 0),
	       CASE WHEN l.off > 0 THEN l.complete_from ELSE t.complete_from END,
	       CASE WHEN l.off > 0 THEN l.complete_to ELSE t.complete_to END,
	       o.open_since, e.last_error, COALESCE(l.off, 0), l.off_since
	  FROM functions f
	  LEFT JOIN window_totals t USING (function_id)
	  LEFT JOIN LATERAL (
		SELECT window_start AS open_since
		  FROM windows
		 WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone')
		 ORDER BY window_start
		 LIMIT 1) o ON true
	  LEFT JOIN LATERAL (
		SELECT last_error
		  FROM windows
		 WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone')
		   AND last_error IS NOT NULL
		 ORDER BY window_start DESC
		 LIMIT 1) e ON true
	  LEFT JOIN (
		SELECT k.function_id,
		       max(p.off_from) FILTER (WHERE p.off_to IS NULL) AS off_since,
		       max(c.off) AS off, max(c.complete_from) AS complete_from, max(c.complete_to) AS complete_to
		  FROM status_log_off p
		  JOIN functions k USING (function_urn, provider, region, project_id)
		 CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE state = 'off') AS off,
			       min(window_start) FILTER (WHERE state = 'complete') AS complete_from,
			       max(window_start) FILTER (WHERE state = 'complete') + interval '1 hour' AS complete_to
			  FROM window_states
			 WHERE function_id = k.function_id) AS c
		 GROUP BY k.function_id) l USING (function_id)
	 ORDER BY COALESCE(t.open, 0) > 0 DESC, o.open_since, f.function_name`

// A RunStatus is one run.
type RunStatus struct {
	ID       int64      `json:"run_id"`
	AskedBy  string     `json:"asked_by"`
	From     time.Time  `json:"range_from"`
	To       time.Time  `json:"range_to"`
	Started  time.Time  `json:"started_at"`
	Finished *time.Time `json:"finished_at,omitempty"`
	Windows  *int64     `json:"windows,omitempty"`
	Complete *int64     `json:"complete,omitempty"`
	Records  *int64     `json:"records,omitempty"`
	Calls    *int64     `json:"calls,omitempty"`
	Outcome  string     `json:"outcome"`
	Error    *string    `json:"error,omitempty"`

	// How far it has come, as its process last noted, at Seen.
	Seen           *time.Time `json:"seen_at,omitempty"`
	WindowsPlanned *int64     `json:"windows_planned,omitempty"`
	WindowsDone    *int64     `json:"windows_done,omitempty"`
	RecordsDone    *int64     `json:"records_done,omitempty"`
	CallsDone      *int64     `json:"calls_done,omitempty"`
	RefusedDone    *int64     `json:"refused_done,omitempty"`
}

// runColumns are those of a RunStatus.
const runColumns = `run_id, asked_by, range_from, range_to, started_at, finished_at,
		       windows, complete, records, calls, outcome, error,
		       seen_at, windows_planned, windows_done, records_done, calls_done, refused_done`

// LastRuns are the newest runs, newest first.
func (a *Archive) LastRuns(ctx context.Context, n int) ([]RunStatus, error) {
	rows, err := a.db.Pool.Query(ctx, `
		SELECT `+runColumns+`
		  FROM runs
		 ORDER BY run_id DESC
		 LIMIT $1`, n)
	if err != nil {
		return nil, fmt.Errorf("select runs: %w", err)
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RunStatus])
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return runs, nil
}

// Ping reports whether the database answers and has the archive's tables.
func (a *Archive) Ping(ctx context.Context) error {
	var there bool
	if err := a.db.Pool.QueryRow(ctx, `SELECT to_regclass('windows') IS NOT NULL`).Scan(&there); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	if !there {
		return pg.ErrNoSchema
	}
	return nil
}

// MayCreate reports what keeps the schema from being made here.
func (a *Archive) MayCreate(ctx context.Context) error {
	var version int
	var may bool
	err := a.db.Pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::integer,
		       COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)`).Scan(&version, &may)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case version < minVersion:
		return fmt.Errorf("the server is older than PostgreSQL %d", minVersion/10_000)
	case !may:
		return errors.New("this role may not create tables: GRANT CREATE ON SCHEMA to it, or have another role run archiver migrate up")
	}
	return nil
}

// minVersion is the oldest server that the schema is for.
const minVersion = 13_00_00
