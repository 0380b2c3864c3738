package load

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// Due picks the functions that have something to do: windows of the order's
// range that are not complete, whether or not there is a row of them yet; with
// Older those before it that were begun; records in flight and counts whose
// time has come. What is oldest comes first: it is what the source forgets
// first.
func (s *Store) Due(ctx context.Context, functions []archive.Known, o archive.Order, at time.Time) ([]archive.Due, error) {
	ids := make([]int32, len(functions))
	known := make(map[int32]archive.Known, len(functions))
	for i, f := range functions {
		ids[i], known[f.ID] = f.ID, f
	}
	rows, err := s.pool.Query(ctx, `
		WITH decided AS (
			SELECT w.function_id, count(*) AS windows
			  FROM windows w
			  JOIN functions f USING (function_id)
			 WHERE w.function_id = ANY ($1) AND w.window_start >= $2 AND w.window_start < $3
			   AND (w.state = 'complete' OR w.state = 'gone' AND f.gone_at IS NOT NULL) AND NOT $5
			 GROUP BY w.function_id
		), older AS (
			SELECT function_id, count(*) AS windows, min(window_start) AS oldest
			  FROM windows
			 WHERE function_id = ANY ($1) AND window_start < $2
			   AND planned AND state NOT IN ('complete', 'gone') AND $6
			 GROUP BY function_id
		), due AS (
			SELECT id, CASE WHEN $7 THEN 0 ELSE $4 - COALESCE(d.windows, 0) + COALESCE(o.windows, 0) END AS windows,
			       COALESCE(o.oldest, $2) AS oldest,
			       $8 AND EXISTS (
				SELECT FROM windows
				 WHERE function_id = id AND recheck_at <= $9) AS follow,
			       $7 OR EXISTS (
				SELECT FROM windows
				 WHERE function_id = id AND window_start >= $2 AND state = 'complete'
				   AND verified_at IS NULL AND completed_at <= $10) AS verify
			  FROM unnest($1::integer[]) AS id
			  LEFT JOIN decided d ON d.function_id = id
			  LEFT JOIN older o ON o.function_id = id
		)
		SELECT id, windows, oldest
		  FROM due
		 WHERE windows > 0 OR follow OR verify
		 ORDER BY oldest, windows DESC, id`,
		ids, o.Range.From, o.Range.To, o.Range.Windows(), o.Force, o.Older, o.Compare, o.Follow, at, verifyDue(o, at))
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

// Plan gives the windows that are due a row each, where they have none: what
// was asked for and not reached is to be seen, and later runs come to it.
func (s *Store) Plan(ctx context.Context, due []archive.Due, o archive.Order) error {
	if o.Compare {
		return nil
	}
	var ids []int32
	for _, d := range due {
		if d.Windows > 0 {
			ids = append(ids, d.ID)
		}
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO windows AS w (function_id, window_start, planned)
		SELECT id, hour, true
		  FROM unnest($1::integer[]) AS id,
		       generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
		 ORDER BY id, hour
		    ON CONFLICT (function_id, window_start) DO UPDATE
		   SET planned = true
		 WHERE NOT w.planned`,
		ids, o.Range.From, o.Range.To)
	if err != nil {
		return fmt.Errorf("insert the windows of %d functions: %w", len(ids), err)
	}
	return nil
}

// verifyDue is until when a window must have been completed for its
// verification to be due. Those that are half as old are taken along, so that a
// steady run compares some windows in one call and not each by itself.
func verifyDue(o archive.Order, at time.Time) *time.Time {
	if o.VerifyAfter <= 0 {
		return nil
	}
	t := at.Add(-o.VerifyAfter)
	return &t
}

// Work is what the claimed function has to do, read under the claim.
func (c *claim) Work(ctx context.Context, o archive.Order, at time.Time) (w archive.Work, err error) {
	if !o.Compare {
		if w.Open, err = c.open(ctx, o); err != nil {
			return w, err
		}
		if w.Windows, err = c.windows(ctx, o); err != nil {
			return w, err
		}
	}
	w.Verify, err = c.unverified(ctx, o, at)
	return w, err
}

// open are the walks that earlier runs left, to be finished first.
func (c *claim) open(ctx context.Context, o archive.Order) ([]archive.Walk, error) {
	rows, err := c.store.pool.Query(ctx, `
		SELECT span_from, span_to, source_cursor, seen, COALESCE(source_count, -1)
		  FROM walks
		 WHERE function_id = $1 AND (span_from < $3 AND span_to > $2 OR $4)
		 ORDER BY span_from`,
		c.function.ID, o.Range.From, o.Range.To, o.Older)
	if err != nil {
		return nil, fmt.Errorf("select open walks: %w", err)
	}
	walks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (open archive.Walk, err error) {
		err = row.Scan(&open.Span.From, &open.Span.To, &open.Cursor, &open.Seen, &open.Count)
		open.Span.From, open.Span.To = open.Span.From.UTC(), open.Span.To.UTC()
		return open, err
	})
	if err != nil {
		return nil, fmt.Errorf("read open walks: %w", err)
	}
	for _, open := range walks {
		c.begun[open.Span] = true
	}
	return walks, nil
}

// windows are those due beside the open walks, whether or not there is a row
// of them yet. Those that were gone are due again once their function is back.
func (c *claim) windows(ctx context.Context, o archive.Order) ([]time.Time, error) {
	rows, err := c.store.pool.Query(ctx, `
		WITH due AS (
			SELECT hour
			  FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
			  LEFT JOIN windows w ON w.function_id = $1 AND w.window_start = hour
			 WHERE w.state IS NULL OR $4
			    OR w.state <> 'complete' AND (w.state <> 'gone' OR (
				SELECT gone_at FROM functions WHERE function_id = $1) IS NULL)
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
		return nil, fmt.Errorf("select due windows: %w", err)
	}
	return collectHours(rows)
}

// unverified are the windows to compare with the source's count: all of the
// range, archived or not; or, once one of them was completed long enough ago,
// those that were completed half as long ago.
func (c *claim) unverified(ctx context.Context, o archive.Order, at time.Time) ([]time.Time, error) {
	if o.Compare {
		var hours []time.Time
		for hour := o.Range.From; hour.Before(o.Range.To); hour = hour.Add(archive.Hour) {
			hours = append(hours, hour)
		}
		return hours, nil
	}
	due := verifyDue(o, at)
	if due == nil {
		return nil, nil
	}
	rows, err := c.store.pool.Query(ctx, `
		SELECT window_start
		  FROM windows
		 WHERE function_id = $1 AND window_start >= $2 AND state = 'complete'
		   AND verified_at IS NULL AND completed_at <= $4 AND EXISTS (
			SELECT FROM windows
			 WHERE function_id = $1 AND window_start >= $2 AND state = 'complete'
			   AND verified_at IS NULL AND completed_at <= $3)
		 ORDER BY window_start`,
		c.function.ID, o.Range.From, due, at.Add(-o.VerifyAfter/2))
	if err != nil {
		return nil, fmt.Errorf("select windows to verify: %w", err)
	}
	return collectHours(rows)
}

func collectHours(rows pgx.Rows) ([]time.Time, error) {
	hours, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (hour time.Time, err error) {
		err = row.Scan(&hour)
		return hour.UTC(), err
	})
	if err != nil {
		return nil, fmt.Errorf("read windows: %w", err)
	}
	return hours, nil
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
