package load

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// Due picks the functions that have windows to read: those of the order's
// range that are not complete, whether or not there is a row of them yet, and
// with Older those before it that were begun. What is oldest comes first: it
// is what the source forgets first.
func (s *Store) Due(ctx context.Context, functions []archive.Known, o archive.Order) ([]archive.Due, error) {
	ids := make([]int32, len(functions))
	known := make(map[int32]archive.Known, len(functions))
	for i, f := range functions {
		ids[i], known[f.ID] = f.ID, f
	}
	rows, err := s.pool.Query(ctx, `
		WITH decided AS (
			SELECT function_id, count(*) AS windows
			  FROM windows
			 WHERE function_id = ANY ($1) AND window_start >= $2 AND window_start < $3
			   AND state IN ('complete', 'gone') AND NOT $5
			 GROUP BY function_id
		), older AS (
			SELECT function_id, count(*) AS windows, min(window_start) AS oldest
			  FROM windows
			 WHERE function_id = ANY ($1) AND window_start < $2
			   AND planned AND state NOT IN ('complete', 'gone') AND $6
			 GROUP BY function_id
		), due AS (
			SELECT id, $4 - COALESCE(d.windows, 0) + COALESCE(o.windows, 0) AS windows,
			       COALESCE(o.oldest, $2) AS oldest
			  FROM unnest($1::integer[]) AS id
			  LEFT JOIN decided d ON d.function_id = id
			  LEFT JOIN older o ON o.function_id = id
		)
		SELECT id, windows, oldest
		  FROM due
		 WHERE windows > 0
		 ORDER BY oldest, windows DESC, id`,
		ids, o.Range.From, o.Range.To, o.Range.Windows(), o.Force, o.Older)
	if err != nil {
		return nil, fmt.Errorf("select what is due: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d archive.Due, err error) {
		var id int32
		err = row.Scan(&id, &d.Windows, &d.Oldest)
		d.Known = known[id]
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	return due, nil
}

// Work is what the claimed function has to do, read under the claim.
func (c *claim) Work(ctx context.Context, o archive.Order) (archive.Work, error) {
	var w archive.Work
	rows, err := c.store.pool.Query(ctx, `
		SELECT span_from, span_to, source_cursor, seen
		  FROM walks
		 WHERE function_id = $1 AND (span_from < $3 AND span_to > $2 OR $4)
		 ORDER BY span_from`,
		c.function.ID, o.Range.From, o.Range.To, o.Older)
	if err != nil {
		return w, fmt.Errorf("select open walks: %w", err)
	}
	w.Open, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (open archive.Walk, err error) {
		err = row.Scan(&open.Span.From, &open.Span.To, &open.Cursor, &open.Seen)
		open.Span.From, open.Span.To = open.Span.From.UTC(), open.Span.To.UTC()
		return open, err
	})
	if err != nil {
		return w, fmt.Errorf("read open walks: %w", err)
	}
	for _, open := range w.Open {
		c.begun[open.Span] = true
	}

	rows, err = c.store.pool.Query(ctx, `
		WITH due AS (
			SELECT hour
			  FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
			  LEFT JOIN windows w ON w.function_id = $1 AND w.window_start = hour
			 WHERE w.state IS NULL OR w.state NOT IN ('complete', 'gone') OR $4
			UNION ALL
			SELECT window_start
			  FROM windows
			 WHERE function_id = $1 AND window_start < $2
			   AND planned AND state NOT IN ('complete', 'gone') AND $5
		)
		SELECT hour
		  FROM due
		 WHERE NOT EXISTS (
			SELECT FROM walks
			 WHERE function_id = $1 AND span_from <= hour AND span_to > hour)
		 ORDER BY hour`,
		c.function.ID, o.Range.From, o.Range.To, o.Force, o.Older)
	if err != nil {
		return w, fmt.Errorf("select due windows: %w", err)
	}
	w.Windows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (hour time.Time, err error) {
		err = row.Scan(&hour)
		return hour.UTC(), err
	})
	if err != nil {
		return w, fmt.Errorf("read due windows: %w", err)
	}
	return w, nil
}

// Archived yields the function's request ids from one second before the span
// to one second after it, and those that have no time of their own.
func (c *claim) Archived(ctx context.Context, s archive.Span) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		rows, err := c.store.pool.Query(ctx, `
			SELECT request_id
			  FROM invocations_dated
			 WHERE function_id = $1
			   AND start_time BETWEEN $2::timestamptz - interval '1 second' AND $3::timestamptz + interval '1 second'
			UNION ALL
			SELECT request_id FROM invocations_undated WHERE function_id = $1
			UNION ALL
			SELECT request_id FROM invocations_in_flight WHERE function_id = $1`,
			c.function.ID, s.From, s.To)
		if err != nil {
			yield("", fmt.Errorf("select the ids of %s: %w", s, err))
			return
		}
		defer rows.Close()
		var id string
		for rows.Next() {
			if err := rows.Scan(&id); err != nil {
				yield("", fmt.Errorf("read the ids of %s: %w", s, err))
				return
			}
			if !yield(id, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield("", fmt.Errorf("read the ids of %s: %w", s, err))
		}
	}
}
