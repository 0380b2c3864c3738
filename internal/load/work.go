package load

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

var (
	//go:embed openwalks.sql
	selectOpenWalks string
	//go:embed workwindows.sql
	selectWorkWindows string
	//go:embed begunwindows.sql
	selectBegun string
	//go:embed heldwindows.sql
	selectHeld string
	//go:embed unverified.sql
	selectUnverified string
	//go:embed completewindows.sql
	selectComplete string
	//go:embed archivedids.sql
	selectArchivedIDs string
)

// Work tells what to read and what to verify of the claimed function. Times are in
// UTC. If the function is gone, Work notes that it is asked again.
//
// A window is due for verification when o.VerifyAfter has passed since its completion.
// Then all windows for which half of this time has passed are verified in one call.
// Complete begins with the first window for which five sixths of the time have passed;
// if it is read again, windows for which two thirds have passed are verified with it.
func (c *claim) Work(ctx context.Context, o archive.Order, at time.Time) (w archive.Work, err error) {
	if o.Compare {
		for hour := o.Range.From; hour.Before(o.Range.To); hour = hour.Add(archive.Hour) {
			w.Verify = append(w.Verify, hour)
		}
		return w, nil
	}
	if !c.function.Gone.IsZero() {
		if asked, err := c.askAgain(ctx, o, at); !asked || err != nil {
			return w, err
		}
	}
	if w.Open, err = c.open(ctx, o); err != nil {
		return w, err
	}
	w.Windows, err = pg.CollectBy(ctx, c.store.pool, utcHour, "due windows", selectWorkWindows, pg.Args{
		"function": c.function.ID, "from": o.Range.From, "to": o.Range.To, "until": until(c.function),
		"force": o.Force, "older": o.Older, "asked_again": !c.function.Gone.IsZero(), "waits_after": waitsAfter(o, at),
	})
	if err != nil {
		return w, err
	}
	if w.Begun, err = c.begun(ctx, &w); err != nil || o.VerifyAfter <= 0 {
		return w, err
	}
	w.Verify, err = pg.CollectBy(ctx, c.store.pool, utcHour, "windows to verify", selectUnverified, pg.Args{
		"function": c.function.ID, "from": o.Range.From, "to": o.Range.To, "now": at,
		"due": at.Add(-o.VerifyAfter), "with": at.Add(-o.VerifyAfter / 2),
	})
	if err != nil {
		return w, err
	}
	w.Complete, err = pg.CollectBy(ctx, c.store.pool, func(row pgx.CollectableRow) (w archive.Complete, err error) {
		err = row.Scan(&w.Window, &w.Records, &w.Verify)
		w.Window = w.Window.UTC()
		return w, err
	}, "complete windows", selectComplete, pg.Args{
		"function": c.function.ID, "from": o.Range.From,
		"soon": at.Add(-o.VerifyAfter * 5 / 6), "with": at.Add(-o.VerifyAfter * 2 / 3),
	})
	return w, err
}

// askAgain notes that the source is asked again for a function that is gone. It reports
// whether it may be asked: run and once ask at most once a day.
func (c *claim) askAgain(ctx context.Context, o archive.Order, at time.Time) (asked bool, err error) {
	err = c.fenced(ctx, func(tx pgx.Tx) error {
		updated, err := tx.Exec(ctx, `
			UPDATE functions
			   SET gone_asked_at = $2
			 WHERE function_id = $1 AND (COALESCE(gone_asked_at, gone_at) <= $2::timestamptz - interval '24 hours' OR NOT $3)`,
			c.function.ID, at, goesOn(o))
		asked = updated.RowsAffected() > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("note that %s is asked again: %w", c.function.Name, err)
	}
	return asked, nil
}

// open are the walks that earlier runs left unfinished.
func (c *claim) open(ctx context.Context, o archive.Order) ([]archive.Walk, error) {
	walks, err := pg.CollectBy(ctx, c.store.pool, func(row pgx.CollectableRow) (open archive.Walk, err error) {
		err = row.Scan(&open.Span.From, &open.Span.To, &open.Cursor, &open.Seen, &open.Count)
		open.Span.From, open.Span.To = open.Span.From.UTC(), open.Span.To.UTC()
		return open, err
	}, "open walks", selectOpenWalks, pg.Args{
		"function": c.function.ID, "from": o.Range.From, "to": o.Range.To, "older": o.Older,
	})
	for _, open := range walks {
		c.openWalks[open.Span] = true
	}
	return walks, err
}

// begun are those of the windows that earlier runs left partial, short or failed.
func (c *claim) begun(ctx context.Context, w *archive.Work) ([]archive.Begun, error) {
	from, to := make([]time.Time, len(w.Open)), make([]time.Time, len(w.Open))
	for i, open := range w.Open {
		from[i], to[i] = open.Span.From, open.Span.To
	}
	return pg.CollectBy(ctx, c.store.pool, func(row pgx.CollectableRow) (b archive.Begun, err error) {
		var from, to *time.Time
		err = row.Scan(&b.Window, &b.Held, &b.Counted, &from, &to)
		b.Window = b.Window.UTC()
		b.Refused = archive.Span{From: pg.OrZero(from).UTC(), To: pg.OrZero(to).UTC()}
		return b, err
	}, "windows that were begun", selectBegun, pg.Args{
		"function": c.function.ID, "windows": w.Windows, "open_from": from, "open_to": to,
	})
}

// Held adds up what commits have kept of the windows. A window without a row holds nothing.
func (c *claim) Held(ctx context.Context, windows []time.Time) (map[time.Time]archive.Held, error) {
	type window struct {
		Start time.Time
		archive.Held
	}
	found, err := pg.CollectBy(ctx, c.store.pool, func(row pgx.CollectableRow) (w window, err error) {
		err = row.Scan(&w.Start, &w.Records, &w.Startless)
		return w, err
	}, "what is archived of windows", selectHeld, pg.Args{"function": c.function.ID, "windows": windows})
	held := make(map[time.Time]archive.Held, len(found))
	for _, w := range found {
		held[w.Start.UTC()] = w.Held
	}
	return held, err
}

func utcHour(row pgx.CollectableRow) (hour time.Time, err error) {
	err = row.Scan(&hour)
	return hour.UTC(), err
}

// Archived yields the function's request ids from one second before the span
// to one second after it, and those that have no time of their own.
func (c *claim) Archived(ctx context.Context, s archive.Span) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		rows, err := c.store.pool.Query(ctx, selectArchivedIDs, pg.Args{"function": c.function.ID, "from": s.From, "to": s.To})
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
