package load

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

var (
	//go:embed inflight.sql
	selectInFlight string
	//go:embed rechecked.sql
	noteRechecked string
)

// InFlight are the function's records in flight that the order asks for again by now, those of
// the oldest windows first. Times are in UTC.
func (c *claim) InFlight(ctx context.Context, o archive.Order, at time.Time) ([]archive.InFlightRecord, error) {
	within := archive.Span{To: forever}
	if o.FollowRange {
		within, at = o.Range, forever
	}
	return pg.CollectBy(ctx, c.store.pool, func(row pgx.CollectableRow) (r archive.InFlightRecord, err error) {
		err = row.Scan(&r.RequestID, &r.Window, &r.Extra)
		r.Window = r.Window.UTC()
		return r, err
	}, "what is in flight", selectInFlight, pg.Args{
		"function": c.function.ID, "at": at, "max_life": lifeOf(c.function), "from": within.From, "to": within.To,
	})
}

// Follow stores what the source answered when asked for one record in flight.
func (c *claim) Follow(ctx context.Context, r archive.InFlightRecord, found []archive.Invocation, rejected []archive.Rejected, at time.Time) (archive.Kept, error) {
	b := archive.Batch{
		Invocations: found, Rejected: rejected, At: at,
		Walk: archive.Walk{Span: archive.Span{From: r.Window, To: r.Window.Add(archive.Hour)}},
	}
	b.Invocations = plausible(&b)
	w := &write{claim: c, batch: &b}
	if c.store.writes.do(ctx, w); w.err != nil {
		return archive.Kept{}, w.err
	}
	return w.changes.kept, nil
}

// Rechecked notes that the records in flight of these windows were asked for. The next
// time is after twice the last interval. When the longest life of a record is over,
// there is one last time: givenUp is how many records were still in flight then.
func (c *claim) Rechecked(ctx context.Context, windows []time.Time, at time.Time) (givenUp int, err error) {
	err = c.fenced(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, noteRechecked, pg.Args{
			"function": c.function.ID, "windows": windows, "at": at,
			"max_life": lifeOf(c.function), "first_recheck": archive.FirstRecheck,
		}).Scan(&givenUp)
		if err != nil {
			return fmt.Errorf("update %d windows: %w", len(windows), err)
		}
		return nil
	})
	return givenUp, err
}

// Verified notes that the archive and the source count the same in the span.
func (c *claim) Verified(ctx context.Context, s archive.Span, at time.Time) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE windows
			   SET verified_at = $4
			 WHERE function_id = $1 AND window_start >= $2 AND window_start < $3 AND state = 'complete'`,
			c.function.ID, s.From, s.To, at)
		if err != nil {
			return fmt.Errorf("update the windows of %s: %w", s, err)
		}
		return nil
	})
}

// Differs notes that the source counts more records of a window than the archive has.
// The window is short until it is read again.
func (c *claim) Differs(ctx context.Context, window time.Time, d *archive.ShortError) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE windows
			   SET state = 'short', source_count = $3, last_error = $4, completed_at = NULL
			 WHERE function_id = $1 AND window_start = $2 AND state = 'complete'`,
			c.function.ID, window, d.Count, d.Error())
		if err != nil {
			return fmt.Errorf("update the window of %s: %w", window.Format(time.RFC3339), err)
		}
		return nil
	})
}
