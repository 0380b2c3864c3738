package read

import (
	"context"
	_ "embed" // statements
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// An Archived function is a function that the archive knows.
type Archived struct {
	archive.Function
	Source    archive.SourceID
	ID        int32
	LatestURN string // of the latest version, if this is another version; else empty
}

// Functions are all functions that the archive knows, also those that are gone.
func (a *Archive) Functions(ctx context.Context) ([]Archived, error) {
	return pg.CollectBy(ctx, a.db.Pool, func(row pgx.CollectableRow) (f Archived, err error) {
		err = row.Scan(&f.ID, &f.Source.Provider, &f.Source.Region, &f.Source.ProjectID, &f.URN, &f.Name, &f.LatestURN)
		return f, err
	}, "functions", `
		SELECT f.function_id, f.provider, f.region, f.project_id, f.function_urn, f.function_name,
		       COALESCE(l.function_urn, '')
		  FROM functions f
		  LEFT JOIN functions l ON l.function_id = f.latest_id
		 ORDER BY f.function_name, f.function_urn, f.function_id`)
}

//go:embed lookup.sql
var selectMatching string

// Lookup yields the archived records that match a question, newest first, at most
// limit (0: all). A record without a start is placed at the end of the window in
// which it was found.
func (a *Archive) Lookup(ctx context.Context, functions []int32, q archive.Question, limit int) iter.Seq2[archive.Invocation, error] {
	return func(yield func(archive.Invocation, error) bool) {
		rows, err := a.db.Pool.Query(ctx, selectMatching, pg.Args{
			"functions": functions, "from": pg.OrNull(q.From), "to": pg.OrNull(q.To),
			"statuses": q.Statuses, "request_id": q.RequestID, "most": limit,
		})
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

// Complete counts the complete windows that overlap [from, to). The functions are one
// function that was archived from several sources: a window counts once.
func (a *Archive) Complete(ctx context.Context, functions []int32, from, to time.Time) (windows int, err error) {
	err = a.db.Pool.QueryRow(ctx, `
		SELECT count(DISTINCT window_start)
		  FROM windows
		 WHERE function_id = ANY ($1) AND window_start >= $2 AND window_start < $3 AND state = 'complete'`,
		functions, archive.WindowOf(from), to).Scan(&windows)
	if err != nil {
		return 0, fmt.Errorf("count windows: %w", err)
	}
	return windows, nil
}
