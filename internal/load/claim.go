package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// A claim is this process's hold on a function.
type claim struct {
	store    *Store
	function archive.Known
	epoch    int64
	begun    map[archive.Span]bool // spans with a row in walks
}

// Claim takes the function where nobody has it: it was released, its worker
// has been silent for archive.ClaimLife, or its worker's session has ended
// (a process that was killed is gone from pg_locks at once).
func (s *Store) Claim(ctx context.Context, function archive.Known) (archive.Claim, error) {
	if err := s.live(ctx); err != nil {
		return nil, err
	}
	c := &claim{store: s, function: function, begun: make(map[archive.Span]bool)}
	err := s.pool.QueryRow(ctx, `
		INSERT INTO claims AS c (function_id, owner, epoch, expires_at)
		VALUES ($1, $2, 1, clock_timestamp() + $3)
		    ON CONFLICT (function_id) DO UPDATE
		   SET owner = EXCLUDED.owner, epoch = c.epoch + 1, expires_at = EXCLUDED.expires_at
		 WHERE c.expires_at < clock_timestamp()
		    OR NOT EXISTS (
			SELECT FROM pg_locks l
			 WHERE l.locktype = 'advisory' AND l.granted
			   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			   AND l.classid = $4::integer::oid AND l.objid = c.owner::oid AND l.objsubid = 2)
		RETURNING epoch`,
		function.ID, s.owner, archive.ClaimLife, ownerLocks).Scan(&c.epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, archive.ErrClaimed
	}
	if err != nil {
		return nil, fmt.Errorf("upsert a claim: %w", err)
	}
	return c, nil
}

// The fence is the first statement of everything that writes under a claim. It
// renews the claim and holds its row until the transaction ends: a successor
// waits for that, and whoever lost the claim finds no row to update.
const fence = `
	UPDATE claims
	   SET expires_at = clock_timestamp() + $3
	 WHERE function_id = $1 AND epoch = $2`

// Renew keeps the claim for another archive.ClaimLife.
func (c *claim) Renew(ctx context.Context) error {
	tag, err := c.store.pool.Exec(ctx, fence, c.function.ID, c.epoch, archive.ClaimLife)
	if err != nil {
		return fmt.Errorf("renew the claim of %s: %w", c.function.Name, err)
	}
	if tag.RowsAffected() == 0 {
		return archive.ErrClaimLost
	}
	return nil
}

// Release gives the function back. Where the claim was lost there is nothing
// to give back.
func (c *claim) Release(ctx context.Context) error {
	_, err := c.store.pool.Exec(ctx, `
		UPDATE claims
		   SET expires_at = '-infinity'
		 WHERE function_id = $1 AND epoch = $2`, c.function.ID, c.epoch)
	return err
}

// fenced runs f in a transaction that begins with the fence.
func (c *claim) fenced(ctx context.Context, f func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, c.store.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, fence, c.function.ID, c.epoch, archive.ClaimLife)
		if err != nil {
			return fmt.Errorf("check the claim of %s: %w", c.function.Name, err)
		}
		if tag.RowsAffected() == 0 {
			return archive.ErrClaimLost
		}
		return f(tx)
	})
}

// Fail notes that reading a span ended with an error. Its row in walks, where
// there is one, stays: the next run goes on from it. A window that was complete
// before stays so.
func (c *claim) Fail(ctx context.Context, s archive.Span, reason string, at time.Time) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		var w windowChanges
		w.decide(c.function.ID, s, archive.Outcome{State: archive.StateFailed, Err: reason}, at)
		if err := c.spare(ctx, tx, &w); err != nil {
			return err
		}
		return w.write(ctx, tx, at)
	})
}

// Gone notes that the source does not know the function. The spans that were
// due are gone with it; what is complete stays so.
func (c *claim) Gone(ctx context.Context, due []archive.Span, at time.Time) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE functions SET gone_at = $2 WHERE function_id = $1`, c.function.ID, at); err != nil {
			return fmt.Errorf("update %s: %w", c.function.Name, err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM walks WHERE function_id = $1`, c.function.ID); err != nil {
			return fmt.Errorf("delete the walks of %s: %w", c.function.Name, err)
		}
		var w windowChanges
		for _, s := range due {
			w.decide(c.function.ID, s, archive.Outcome{State: archive.StateGone, Err: archive.ErrGone.Error()}, at)
		}
		if err := c.spare(ctx, tx, &w); err != nil {
			return err
		}
		if err := c.abandon(ctx, tx, &w); err != nil {
			return err
		}
		return w.write(ctx, tx, at)
	})
}

// abandon adds to the changes that the other windows that were begun will not
// be finished either. All are written by one statement: one that comes after
// the totals were taken could deadlock with another function's commit (see
// migrations/00003_totals.sql).
func (c *claim) abandon(ctx context.Context, tx pgx.Tx, w *windowChanges) error {
	rows, err := tx.Query(ctx, `
		SELECT window_start, source_count
		  FROM windows
		 WHERE function_id = $1 AND planned AND state NOT IN ('complete', 'gone')`, c.function.ID)
	if err != nil {
		return fmt.Errorf("look up the open windows of %s: %w", c.function.Name, err)
	}
	var start time.Time
	var count *int
	_, err = pgx.ForEachRow(rows, []any{&start, &count}, func() error {
		if w.of[windowKey{c.function.ID, start.UTC()}] == nil {
			change := w.at(c.function.ID, start)
			change.state, change.err, change.sourceCount = archive.StateGone, archive.ErrGone.Error(), count
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the open windows of %s: %w", c.function.Name, err)
	}
	return nil
}

// spare leaves out of the changes the windows that are complete.
func (c *claim) spare(ctx context.Context, tx pgx.Tx, w *windowChanges) error {
	rows, err := tx.Query(ctx, `
		SELECT window_start
		  FROM windows
		 WHERE function_id = $1 AND state = 'complete' AND window_start = ANY ($2)`,
		c.function.ID, w.starts())
	if err != nil {
		return fmt.Errorf("look up the complete windows of %s: %w", c.function.Name, err)
	}
	complete, err := collectHours(rows)
	if err != nil {
		return err
	}
	for _, start := range complete {
		delete(w.of, windowKey{c.function.ID, start})
	}
	return nil
}
