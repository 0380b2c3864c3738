package read

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// An Archived function is one that the archive knows.
type Archived struct {
	archive.Function
	Source    archive.SourceID
	ID        int32
	LatestURN string // of the latest version, where this is another; else empty
}

// Functions are all that the archive knows, those that are gone as well.
func (a *Archive) Functions(ctx context.Context) ([]Archived, error) {
	rows, err := a.db.Pool.Query(ctx, `
		SELECT f.function_id, f.provider, f.region, f.project_id, f.function_urn, f.function_name,
		       COALESCE(l.function_urn, '')
		  FROM functions f
		  LEFT JOIN functions l ON l.function_id = f.latest_id
		 ORDER BY f.function_name, f.function_urn, f.function_id`)
	if err != nil {
		return nil, fmt.Errorf("select functions: %w", err)
	}
	functions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Archived, err error) {
		err = row.Scan(&f.ID, &f.Source.Provider, &f.Source.Region, &f.Source.ProjectID, &f.URN, &f.Name, &f.LatestURN)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("read functions: %w", err)
	}
	return functions, nil
}

// Lookup answers a question from the archive, newest first, with so many records
// at most (0: all). A record without a start stands where the window does in
// which it was found.
func (a *Archive) Lookup(ctx context.Context, functions []int32, q archive.Question, limit int) iter.Seq2[archive.Invocation, error] {
	return func(yield func(archive.Invocation, error) bool) {
		rows, err := a.db.Pool.Query(ctx, SelectMatching, functions, pg.OrNull(q.From), pg.OrNull(q.To), q.Statuses, q.RequestID, limit)
		if err != nil {
			yield(archive.Invocation{}, fmt.Errorf("select invocations: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var inv archive.Invocation
			var start, end *time.Time
			if err := rows.Scan(&inv.RequestID, &inv.Status, &inv.SourceStatus, &inv.ErrorCode, &inv.ErrorMessage, &start, &end, &inv.Extra); err != nil {
				yield(archive.Invocation{}, fmt.Errorf("read an invocation: %w", err))
				return
			}
			inv.Start, inv.End = pg.OrZero(start).UTC(), pg.OrZero(end).UTC()
			if !yield(inv, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(archive.Invocation{}, fmt.Errorf("read invocations: %w", err))
		}
	}
}

// SelectMatching asks the three parts of invocations by themselves: bounds of
// the start then leave out all other days, and a request id is a look-up in one
// index of each. Statuses are matched with both words, the source's is NULL
// where it is ours.
const SelectMatching = `
	SELECT request_id, status, COALESCE(source_status, ''), COALESCE(error_code, ''), COALESCE(error_message, ''),
	       start_time, end_time, extra::text
	  FROM (
		SELECT * FROM archiver_days.invocations_dated
		 WHERE start_time >= COALESCE($2, '-infinity'::timestamptz) AND start_time < COALESCE($3, 'infinity'::timestamptz)
		UNION ALL
		SELECT * FROM archiver_days.invocations_undated
		 WHERE ` + windowBetween + `
		UNION ALL
		SELECT * FROM archiver_days.invocations_in_flight
		 WHERE CASE WHEN start_time IS NULL THEN ` + windowBetween + `
		       ELSE start_time >= COALESCE($2, '-infinity'::timestamptz) AND start_time < COALESCE($3, 'infinity'::timestamptz) END) AS i
	 WHERE function_id = ANY ($1)
	   AND ($4::text[] IS NULL OR status = ANY ($4) OR source_status = ANY ($4))
	   AND ($5 = '' OR request_id = $5)
	 ORDER BY COALESCE(start_time, queried_window + interval '1 hour') DESC, request_id
	 LIMIT NULLIF($6, 0)`

// windowBetween holds for a row without a start that was found in a window which
// overlaps the bounds.
const windowBetween = `queried_window > COALESCE($2, '-infinity'::timestamptz) - interval '1 hour'
		       AND queried_window < COALESCE($3, 'infinity'::timestamptz)`

// Complete is how many of the windows from one time to another are complete. All
// of the functions are one, archived from several sources.
func (a *Archive) Complete(ctx context.Context, functions []int32, from, to time.Time) (windows int, err error) {
	err = a.db.Pool.QueryRow(ctx, `
		SELECT count(DISTINCT window_start)
		  FROM archiver_internal.windows
		 WHERE function_id = ANY ($1) AND window_start >= $2 AND window_start < $3 AND state = 'complete'`,
		functions, archive.WindowOf(from), to).Scan(&windows)
	if err != nil {
		return 0, fmt.Errorf("count windows: %w", err)
	}
	return windows, nil
}
