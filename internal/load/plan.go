package load

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

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
	if w.Verify, err = c.unverified(ctx, o, at); err != nil {
		return w, err
	}
	w.Complete, err = c.complete(ctx, o, at)
	return w, err
}

// open are the walks that earlier runs left, to be finished first.
func (c *claim) open(ctx context.Context, o archive.Order) ([]archive.Walk, error) {
	rows, err := c.store.pool.Query(ctx, `
		SELECT span_from, span_to, source_cursor, seen, COALESCE(source_count, -1)
		  FROM archiver_internal.walks
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
		c.openWalks[open.Span] = true
	}
	return walks, nil
}

// windows are the due windows that no open walk reads, also those without a row.
// A window that is gone is due again once its function is listed again.
func (c *claim) windows(ctx context.Context, o archive.Order) ([]time.Time, error) {
	rows, err := c.store.pool.Query(ctx, `
		WITH due AS (
			SELECT hour
			  FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
			  LEFT JOIN archiver_internal.windows w
			    ON w.function_id = $1 AND w.window_start = hour AND w.window_start >= $2 AND w.window_start < $3
			 WHERE w.state IS NULL OR $4
			    OR w.state <> 'complete' AND (w.state <> 'gone' OR (
				SELECT gone_at FROM functions WHERE function_id = $1) IS NULL)
			UNION ALL
			SELECT window_start
			  FROM archiver_internal.windows
			 WHERE function_id = $1 AND window_start < $2
			   AND planned AND state NOT IN ('complete', 'gone') AND $5
		)
		SELECT hour
		  FROM due
		 WHERE NOT EXISTS (
			SELECT FROM archiver_internal.walks
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
		  FROM archiver_internal.windows
		 WHERE function_id = $1 AND window_start >= $2 AND state = 'complete'
		   AND verified_at IS NULL AND completed_at <= $4 AND EXISTS (
			SELECT FROM archiver_internal.windows
			 WHERE function_id = $1 AND window_start >= $2 AND state = 'complete'
			   AND verified_at IS NULL AND completed_at <= $3)
		 ORDER BY window_start`,
		c.function.ID, o.Range.From, due, at.Add(-o.VerifyAfter/2))
	if err != nil {
		return nil, fmt.Errorf("select windows to verify: %w", err)
	}
	return collectHours(rows)
}

// complete are the complete windows of the range from the first one on that is
// soon to be verified: five sixths of the time for it are over. Those of which
// two thirds are over are verified with it.
func (c *claim) complete(ctx context.Context, o archive.Order, at time.Time) ([]archive.Complete, error) {
	if o.Compare || o.VerifyAfter <= 0 {
		return nil, nil
	}
	rows, err := c.store.pool.Query(ctx, `
		SELECT window_start, records + rejected, verified_at IS NULL AND completed_at <= $4
		  FROM archiver_internal.windows
		 WHERE function_id = $1 AND state = 'complete' AND window_start >= (
			SELECT min(window_start)
			  FROM archiver_internal.windows
			 WHERE function_id = $1 AND window_start >= $2 AND state = 'complete'
			   AND verified_at IS NULL AND completed_at <= $3)
		 ORDER BY window_start`,
		c.function.ID, o.Range.From, at.Add(-o.VerifyAfter*5/6), at.Add(-o.VerifyAfter*2/3))
	if err != nil {
		return nil, fmt.Errorf("select complete windows: %w", err)
	}
	complete, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w archive.Complete, err error) {
		err = row.Scan(&w.Window, &w.Records, &w.Verify)
		w.Window = w.Window.UTC()
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("read complete windows: %w", err)
	}
	return complete, nil
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
			  FROM archiver_days.invocations_dated
			 WHERE function_id = $1
			   AND start_time BETWEEN $2::timestamptz - interval '1 second' AND $3::timestamptz + interval '1 second'
			UNION ALL
			SELECT request_id FROM archiver_days.invocations_undated WHERE function_id = $1
			UNION ALL
			SELECT request_id FROM archiver_days.invocations_in_flight WHERE function_id = $1`,
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
