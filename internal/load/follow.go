package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// InFlight are the function's records in flight that are due to be asked for
// again: those of windows whose time has come, the oldest first. Within a
// window their order is another each time, so that none is always the last.
func (c *claim) InFlight(ctx context.Context, at time.Time) ([]archive.InFlightRecord, error) {
	rows, err := c.store.pool.Query(ctx, `
		SELECT i.request_id, w.window_start, i.extra::text
		  FROM archiver_days.invocations_in_flight i
		  JOIN archiver_internal.windows w
		    ON w.function_id = i.function_id
		   AND w.window_start = date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC')
		 WHERE i.function_id = $1 AND w.recheck_at <= $2
		 ORDER BY w.window_start, random()`, c.function.ID, at)
	if err != nil {
		return nil, fmt.Errorf("select what is in flight: %w", err)
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r archive.InFlightRecord, err error) {
		err = row.Scan(&r.RequestID, &r.Window, &r.Extra)
		r.Window = r.Window.UTC()
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is in flight: %w", err)
	}
	return records, nil
}

// Follow keeps what the source answered when asked for one record in flight.
func (c *claim) Follow(ctx context.Context, r archive.InFlightRecord, found []archive.Invocation, rejected []archive.Rejected, at time.Time) (archive.Kept, error) {
	b := archive.Batch{
		Invocations: found, Rejected: rejected, At: at,
		Walk: archive.Walk{Span: archive.Span{From: r.Window, To: r.Window.Add(archive.Hour)}},
	}
	w := &write{claim: c, batch: &b}
	if c.store.writes.do(ctx, w); w.err != nil {
		return archive.Kept{}, w.err
	}
	return w.changes.kept, nil
}

// Rechecked says when what is still in flight in these windows is asked for
// again: after twice as long as the last time, a last time when the longest
// life is over, and no more after that.
func (c *claim) Rechecked(ctx context.Context, windows []time.Time, at time.Time) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH life AS (
				SELECT w.window_start,
				       GREATEST(w.window_start + interval '1 hour', max(i.first_archived_at)) + $4::interval AS ends
				  FROM archiver_internal.windows w
				  LEFT JOIN archiver_days.invocations_in_flight i
				    ON i.function_id = w.function_id
				   AND date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC') = w.window_start
				 WHERE w.function_id = $1 AND w.window_start = ANY ($2)
				 GROUP BY w.window_start
			)
			UPDATE archiver_internal.windows w
			   SET rechecks = rechecks + 1,
			       recheck_at = CASE
			           WHEN pending = 0 OR life.ends <= $3 THEN NULL
			           ELSE LEAST($3 + $5::interval * (1 << LEAST(rechecks + 1, 10)), life.ends) END
			  FROM life
			 WHERE w.function_id = $1 AND w.window_start = life.window_start`,
			c.function.ID, windows, at, archive.MaxLife, archive.FirstRecheck)
		if err != nil {
			return fmt.Errorf("update %d windows: %w", len(windows), err)
		}
		return nil
	})
}

// Verified notes that the archive's count of the span is the source's.
func (c *claim) Verified(ctx context.Context, s archive.Span, at time.Time) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE archiver_internal.windows
			   SET verified_at = $4
			 WHERE function_id = $1 AND window_start >= $2 AND window_start < $3 AND state = 'complete'`,
			c.function.ID, s.From, s.To, at)
		if err != nil {
			return fmt.Errorf("update the windows of %s: %w", s, err)
		}
		return nil
	})
}

// Differs notes that the source counts more records of a window than the
// archive has: it is short until it is read again.
func (c *claim) Differs(ctx context.Context, window time.Time, d *archive.ShortError) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE archiver_internal.windows
			   SET state = 'short', source_count = $3, last_error = $4, completed_at = NULL
			 WHERE function_id = $1 AND window_start = $2 AND state = 'complete'`,
			c.function.ID, window, d.Count, d.Error())
		if err != nil {
			return fmt.Errorf("update the window of %s: %w", window.Format(time.RFC3339), err)
		}
		return nil
	})
}
