// Package read answers what the page, the metrics and the commands ask of the archive.
package read

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// An Archive reads what is in the database. Many goroutines may use an Archive at
// once.
type Archive struct{ db *pg.DB }

// New is the archive in the database.
func New(db *pg.DB) *Archive { return &Archive{db} }

// A Snapshot answers what a page of the archive shows, all as of one moment. What
// its questions cost does not grow with the history, nor with the records.
type Snapshot struct{ tx pgx.Tx }

// Snapshot calls f with one.
func (a *Archive) Snapshot(ctx context.Context, f func(*Snapshot) error) (err error) {
	tx, err := a.db.Pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	defer func() {
		if rolled := tx.Rollback(context.WithoutCancel(ctx)); rolled != nil && !errors.Is(rolled, pgx.ErrTxClosed) && err == nil {
			err = fmt.Errorf("end reading: %w", rolled)
		}
	}()
	return f(&Snapshot{tx})
}

// A FunctionTotals is what all windows of one function amount to.
type FunctionTotals struct {
	ID                                   int32
	Provider, Region, Project, URN, Name string
	GoneAt                               *time.Time
	Windows, Complete, Open              int64
	Short, Failed, Gone                  int64
	Records, Pending, Rejected           int64
	PlannedFrom, PlannedTo               *time.Time // the first window planned, and the end of the last one
	OpenSince                            *time.Time // the first window planned that is neither complete nor gone
	OffSince                             *time.Time // since when the source keeps no records of it
	// RestsUntil is up to which hour run leaves a function alone that has been
	// empty for long: as selectDue has it, see Order.Rest.
	RestsUntil *time.Time
}

// Functions are the totals of every function, in no order. It reads no window but
// the first open one of functions that have some.
func (s *Snapshot) Functions(ctx context.Context) ([]FunctionTotals, error) {
	return pg.Collect[FunctionTotals](ctx, s.tx, "the totals of functions", `
		SELECT f.function_id, f.provider, f.region, f.project_id, f.function_urn, f.function_name,
		       f.gone_at,
		       COALESCE(t.windows, 0), COALESCE(t.complete, 0), COALESCE(t.open, 0),
		       COALESCE(t.short, 0), COALESCE(t.failed, 0), COALESCE(t.gone, 0),
		       COALESCE(t.records, 0), COALESCE(t.pending, 0), COALESCE(t.rejected, 0),
		       t.planned_from, t.planned_to, o.open_since, l.off_since,
		       CASE WHEN t.complete > 0 AND t.open = 0
			     AND EXTRACT(EPOCH FROM t.complete_to - t.complete_from)::integer / 3600 = t.complete
			    THEN t.complete_to + LEAST($1, (t.complete_to - COALESCE(t.recorded_to, t.complete_from)) / 8) END
		  FROM functions f
		  LEFT JOIN archiver_internal.window_totals t USING (function_id)
		  LEFT JOIN LATERAL (
			SELECT window_start AS open_since
			  FROM archiver_internal.windows
			 WHERE t.open > 0 AND function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone')
			 ORDER BY window_start
			 LIMIT 1) o ON true
		  LEFT JOIN (
			SELECT function_urn, provider, region, project_id, max(off_from) AS off_since
			  FROM status_log_off
			 WHERE off_to IS NULL
			 GROUP BY function_urn, provider, region, project_id) l
		 USING (function_urn, provider, region, project_id)`, archive.RestAtMost)
}

// A Cell is what the windows of a function and an hour, or a UTC day, amount to.
type Cell struct {
	FunctionID int32 // 0 for the sum of several
	At         time.Time
	Windows    int64 // planned
	Complete   int64
	InFlight   int64 // of these, with records in flight
	Off        int64 // of these, of when the source kept no records
	Short      int64
	Failed     int64
	Gone       int64
	Records    int64
	Pending    int64
}

// A Grain is how much of a function's time a cell is.
type Grain string

// The grains of cells.
const (
	Hourly Grain = "hour"
	Daily  Grain = "day"
)

// Cells are those of the functions in [from, to), in the order of functions and
// time.
func (s *Snapshot) Cells(ctx context.Context, functions []int32, from, to time.Time, grain Grain) ([]Cell, error) {
	return pg.Collect[Cell](ctx, s.tx, "the windows of functions", cellsOf(grain)+`
		SELECT function_id, at, windows, complete, in_flight, off, short, failed, gone, records, pending
		  FROM cells
		 ORDER BY function_id, at`, functions, from, to)
}

// Sums are the cells of all of the functions together.
func (s *Snapshot) Sums(ctx context.Context, functions []int32, from, to time.Time, grain Grain) ([]Cell, error) {
	return pg.Collect[Cell](ctx, s.tx, "the sums of windows", cellsOf(grain)+`
		SELECT 0, at, sum(windows)::bigint, sum(complete)::bigint, sum(in_flight)::bigint, sum(off)::bigint,
		       sum(short)::bigint, sum(failed)::bigint, sum(gone)::bigint, sum(records)::bigint, sum(pending)::bigint
		  FROM cells
		 GROUP BY at
		 ORDER BY at`, functions, from, to)
}

// cellsOf begins a query of cells, of the functions $1 in [$2, $3). A window is
// off where window_states says so.
func cellsOf(grain Grain) string {
	const off = `
		WITH off AS MATERIALIZED (
			SELECT f.function_id, p.off_from, COALESCE(p.off_to, 'infinity') AS off_to
			  FROM status_log_off p
			  JOIN functions f USING (function_urn, provider, region, project_id)
			 WHERE f.function_id = ANY ($1::integer[]) AND p.off_from < $3 AND (p.off_to IS NULL OR p.off_to > $2)
		), `
	if grain == Hourly {
		return off + hourCells
	}
	return off + dayCells
}

const hourCells = `
	cells AS (
		SELECT w.function_id, w.window_start AS at, w.planned::integer::bigint AS windows,
		       (w.state = 'complete')::integer::bigint AS complete,
		       (w.state = 'complete' AND w.pending > 0)::integer::bigint AS in_flight,
		       (o.function_id IS NOT NULL)::integer::bigint AS off,
		       (w.state = 'short')::integer::bigint AS short,
		       (w.state = 'failed')::integer::bigint AS failed,
		       (w.state = 'gone')::integer::bigint AS gone,
		       w.records::bigint AS records, w.pending::bigint AS pending
		  FROM archiver_internal.windows w
		  LEFT JOIN off o
		    ON o.function_id = w.function_id AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
		   AND o.off_from <= w.window_start AND o.off_to >= w.window_start + interval '1 hour'
		 WHERE w.function_id = ANY ($1::integer[]) AND w.window_start >= $2 AND w.window_start < $3
	)`

// Of a day that was off as a whole, all empty windows were; hours are looked at
// only where it began or ended.
const dayCells = `
	off_days AS (
		SELECT function_id, day, sum(n) AS off
		  FROM (
			SELECT d.function_id, d.day, d.empty AS n
			  FROM off o
			  JOIN archiver_internal.window_days d ON d.function_id = o.function_id
			   AND o.off_from <= d.day AND o.off_to >= d.day + interval '1 day'
			 WHERE d.day >= $2 AND d.day < $3 AND d.empty > 0
			 UNION ALL
			SELECT w.function_id, b.day, count(*)
			  FROM off o
			 CROSS JOIN LATERAL (
				SELECT date_trunc('day', o.off_from, 'UTC') AS day
				 WHERE o.off_from > date_trunc('day', o.off_from, 'UTC')
				 UNION
				SELECT date_trunc('day', o.off_to, 'UTC')
				 WHERE o.off_to < 'infinity' AND o.off_to > date_trunc('day', o.off_to, 'UTC')) AS b
			  JOIN archiver_internal.windows w ON w.function_id = o.function_id
			   AND w.window_start >= GREATEST(b.day, o.off_from)
			   AND w.window_start <= LEAST(b.day + interval '1 day', o.off_to) - interval '1 hour'
			 WHERE b.day >= $2 AND b.day < $3 AND w.state = 'complete' AND w.records = 0 AND w.rejected = 0
			 GROUP BY 1, 2
		  ) AS n
		 GROUP BY 1, 2
	),
	cells AS (
		SELECT d.function_id, d.day AS at, d.windows::bigint AS windows, d.complete::bigint AS complete,
		       d.in_flight::bigint AS in_flight, COALESCE(o.off, 0)::bigint AS off, d.short::bigint AS short,
		       d.failed::bigint AS failed, d.gone::bigint AS gone, d.records, d.pending
		  FROM archiver_internal.window_days d
		  LEFT JOIN off_days o USING (function_id, day)
		 WHERE d.function_id = ANY ($1::integer[]) AND d.day >= $2 AND d.day < $3
	)`

// An OpenWindow is one that is not complete, and why.
type OpenWindow struct {
	FunctionID int32
	Start      time.Time
	State      string
	Attempts   int
	LastError  *string
}

// OpenWindows are the oldest open windows of functions, one each, oldest first.
func (s *Snapshot) OpenWindows(ctx context.Context, functions []int32, starts []time.Time) ([]OpenWindow, error) {
	return pg.Collect[OpenWindow](ctx, s.tx, "open windows", `
		SELECT w.function_id, w.window_start, w.state, w.attempts, w.last_error
		  FROM unnest($1::integer[], $2::timestamptz[]) AS n (function_id, window_start)
		  JOIN archiver_internal.windows w USING (function_id, window_start)
		 ORDER BY w.window_start, w.function_id`, functions, starts)
}

// A Trouble is an error that windows ended with and that still stands, and errors
// that say the same of other functions and requests.
type Trouble struct {
	Error      string
	Functions  int64
	FunctionID int32 // whose error it is
	Start      time.Time
}

// Troubles are the last errors of functions with open windows, the newest first.
func (s *Snapshot) Troubles(ctx context.Context, functions []int32, n int) ([]Trouble, error) {
	return pg.Collect[Trouble](ctx, s.tx, "the last errors", `
		SELECT (array_agg(last_error ORDER BY window_start DESC, function_id))[1], count(*),
		       (array_agg(function_id ORDER BY window_start DESC, function_id))[1], max(window_start)
		  FROM (
			SELECT e.*, regexp_replace(replace(e.last_error, f.function_name, ''), '[0-9A-Fa-f-]{5,}', '', 'g') AS alike
			  FROM functions f
			 CROSS JOIN LATERAL (
				SELECT function_id, last_error, window_start
				  FROM archiver_internal.windows
				 WHERE function_id = f.function_id AND planned AND state NOT IN ('complete', 'gone') AND last_error IS NOT NULL
				 ORDER BY window_start DESC
				 LIMIT 1) e
			 WHERE f.function_id = ANY ($1::integer[])) e
		 GROUP BY alike
		 ORDER BY max(window_start) DESC, alike
		 LIMIT $2`, functions, n)
}

// A Figure is what the invocations of an hour, or a UTC day, came to.
type Figure struct {
	At      time.Time
	Records int64
	Failed  int64 // failed and discarded
}

// Figures are those of the functions together in [from, to), in the order of
// time; with none named, of all functions. They follow the records by some
// seconds.
func (s *Snapshot) Figures(ctx context.Context, functions []int32, from, to time.Time, grain Grain) ([]Figure, error) {
	const what = "the figures"
	switch {
	case functions == nil:
		return pg.Collect[Figure](ctx, s.tx, what, `
			SELECT date_trunc($3, window_start, 'UTC'), sum(records)::bigint, sum(fail + discard)::bigint
			  FROM archiver_internal.source_figures
			 WHERE window_start >= $1 AND window_start < $2
			 GROUP BY 1
			 ORDER BY 1`, from, to, string(grain))
	case grain == Daily:
		return pg.Collect[Figure](ctx, s.tx, what, `
			SELECT day::timestamp AT TIME ZONE 'UTC', sum(records)::bigint, sum(fail + discard)::bigint
			  FROM archiver_internal.daily_figures
			 WHERE function_id = ANY ($1::integer[]) AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date AND day < ($3::timestamptz AT TIME ZONE 'UTC')::date
			 GROUP BY 1
			 ORDER BY 1`, functions, from, to)
	default:
		return pg.Collect[Figure](ctx, s.tx, what, `
			SELECT window_start, sum(records)::bigint, sum(fail + discard)::bigint
			  FROM archiver_internal.hourly_figures
			 WHERE function_id = ANY ($1::integer[]) AND window_start >= $2 AND window_start < $3
			 GROUP BY 1
			 ORDER BY 1`, functions, from, to)
	}
}

// Runs are the newest runs, and all that go on: those whose process has said so
// since the time given. The newest come first. Each half goes by an index, however
// many runs there were: with OR none would serve.
func (s *Snapshot) Runs(ctx context.Context, n int, seenSince time.Time) ([]RunStatus, error) {
	return pg.Collect[RunStatus](ctx, s.tx, "runs", `
		SELECT `+runColumns+`
		  FROM runs
		 WHERE run_id > (SELECT COALESCE(max(run_id), 0) FROM runs) - $1
		 UNION
		SELECT `+runColumns+`
		  FROM runs
		 WHERE outcome = 'running' AND seen_at >= $2
		 ORDER BY run_id DESC`, n, seenSince)
}

// GoesOn reports whether this archive is kept up to now, by run or once, and not
// filled by hand alone.
func (s *Snapshot) GoesOn(ctx context.Context) (goesOn bool, err error) {
	if err := s.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM runs WHERE asked_by IN ('run', 'once'))`).Scan(&goesOn); err != nil {
		return false, fmt.Errorf("ask which runs there were: %w", err)
	}
	return goesOn, nil
}
