package days

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// InTheWay reports whether a statement waited for others in vain, or found
// another day's detaching unfinished.
func InTheWay(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case pgerrcode.LockNotAvailable, pgerrcode.DeadlockDetected, pgerrcode.QueryCanceled,
		pgerrcode.ObjectNotInPrerequisiteState:
		return true
	}
	return false
}

// persist tries a few times what others are in the way of. Between two tries
// those who wait behind it get their turn.
func persist(f func() error) (err error) {
	for range retentionTries {
		if err = f(); !InTheWay(err) {
			return err
		}
	}
	return err
}

// Drop takes both steps of a day.
func (r *Retention) Drop(ctx context.Context, d time.Time) error {
	return r.locked(ctx, d, func() error {
		if err := persist(func() error { return r.Empty(ctx, d) }); err != nil {
			return err
		}
		return persist(func() error { return r.dropTable(ctx, d) })
	})
}

// locked holds a day's lock around f.
func (r *Retention) locked(ctx context.Context, d time.Time, f func() error) error {
	if _, err := r.Conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, pg.DayLocks, dayNumber(d)); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	err := f()
	_, unlocked := r.Conn.Exec(ctx, `SELECT pg_advisory_unlock($1, $2)`, pg.DayLocks, dayNumber(d))
	if err == nil && unlocked != nil {
		err = fmt.Errorf("unlock: %w", unlocked)
	}
	return err
}

// Empty is the first step. Who is on a walk through the day loses the claim
// and begins again: what is seen of a walk must be in the archive when it ends.
//
// The order of locks is that of commits but for the claims, which these take
// first: where one that has its claim waits for the day, this lets go, by
// LockPatience.
func (r *Retention) Empty(ctx context.Context, d time.Time) error {
	var rows, bytes int64
	err := pgx.BeginFunc(ctx, r.Conn, func(tx pgx.Tx) error {
		// Whoever counts figures reads the day's table.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, pg.FiguresLock); err != nil {
			return fmt.Errorf("wait for its figures: %w", err)
		}
		t, err := lookAt(ctx, tx, d)
		if err != nil {
			return err
		}
		table := inDays(Table(d))
		open := t.attached && !t.pending && !t.closed
		if open {
			bytes = t.bytes
			if _, err := tx.Exec(ctx, `LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE`); err != nil {
				return fmt.Errorf("wait for its readers: %w", err)
			}
		}
		taken, err := takeClaims(ctx, tx, d, nil)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, pg.CommitLock); err != nil {
			return fmt.Errorf("wait for commits under way: %w", err)
		}
		// Of walks that began meanwhile as well; now none does.
		if _, err := takeClaims(ctx, tx, d, taken); err != nil {
			return err
		}
		if err := figures.FreezeDay(ctx, tx, d); err != nil {
			return err
		}
		if rows, err = unwind(ctx, tx, d); err != nil {
			return err
		}
		if open {
			_, err = tx.Exec(ctx, `TRUNCATE `+table+`; ALTER TABLE `+table+` ADD CONSTRAINT `+closedName+` CHECK (false)`)
			if err != nil {
				return fmt.Errorf("empty its table: %w", err)
			}
		}
		return nil
	})
	if err == nil && (rows > 0 || bytes > 0) {
		r.db.Log.Info("day dropped", "day", d.Format(time.DateOnly), "rows", rows, "bytes", bytes)
	}
	return err
}

// takeClaims takes the claims of functions with walks through the day, but for
// those that are taken.
func takeClaims(ctx context.Context, tx pgx.Tx, d time.Time, taken []int32) ([]int32, error) {
	rows, err := tx.Query(ctx, `
		UPDATE archiver_internal.claims
		   SET epoch = epoch + 1, expires_at = '-infinity'
		 WHERE function_id IN (SELECT function_id FROM archiver_internal.walks WHERE span_from < $2 AND span_to > $1)
		   AND function_id <> ALL (COALESCE($3::integer[], '{}'))
		RETURNING function_id`, d, d.AddDate(0, 0, 1), taken)
	if err != nil {
		return nil, fmt.Errorf("take the claims of its walks: %w", err)
	}
	if taken, err = pgx.CollectRows(rows, pgx.RowTo[int32]); err != nil {
		return nil, fmt.Errorf("take the claims of its walks: %w", err)
	}
	return taken, nil
}

// unwind deletes what belongs to a day beside its table, and counts the rows of
// both. No commit is under way meanwhile.
func unwind(ctx context.Context, tx pgx.Tx, d time.Time) (rows int64, err error) {
	const ofTheDay = `function_id = ANY (ARRAY (SELECT function_id FROM functions)) AND window_start >= $1 AND window_start < $2`
	to := d.AddDate(0, 0, 1)
	if _, err := tx.Exec(ctx, pg.LockAllWindows); err != nil {
		return 0, fmt.Errorf("wait for writers of its windows: %w", err)
	}
	err = tx.QueryRow(ctx, `
		WITH kept AS (
			UPDATE archiver_internal.windows
			   SET state = 'pending', planned = false, records = pending, rejected = 0, source_count = NULL,
			       attempts = 0, last_error = NULL, completed_at = NULL, verified_at = NULL
			 WHERE pending > 0 AND `+ofTheDay+`
		), dropped AS (
			DELETE FROM archiver_internal.windows WHERE pending <= 0 AND `+ofTheDay+`
		)
		SELECT COALESCE(sum(records - pending), 0) FROM archiver_internal.windows WHERE `+ofTheDay, d, to).Scan(&rows)
	if err != nil {
		return 0, fmt.Errorf("delete its windows: %w", err)
	}
	for _, statement := range []string{
		`DELETE FROM archiver_internal.walks WHERE span_from < $2 AND span_to > $1`,
		`DELETE FROM archiver_days.invocations_undated
		  WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions)) AND queried_window >= $1 AND queried_window < $2`,
		`DELETE FROM rejected_records WHERE window_start >= $1 AND window_start < $2`,
	} {
		if _, err := tx.Exec(ctx, statement, d, to); err != nil {
			return 0, fmt.Errorf("delete what its windows count: %w", err)
		}
	}
	return rows, nil
}

// dropTable is the second step. A table that is not closed is none of
// retention's; detaching it is finished where an operator began it, for it
// keeps every other day from being detached.
func (r *Retention) dropTable(ctx context.Context, d time.Time) error {
	var t dayState
	err := pgx.BeginFunc(ctx, r.Conn, func(tx pgx.Tx) (err error) {
		t, err = lookAt(ctx, tx, d)
		return err
	})
	if err != nil {
		return err
	}
	table := inDays(Table(d))
	switch {
	case t.pending:
		_, err = r.Conn.Exec(ctx, `ALTER TABLE archiver_days.invocations_dated DETACH PARTITION `+table+` FINALIZE`)
	case t.attached && t.closed && r.Concurrently:
		_, err = r.Conn.Exec(ctx, `ALTER TABLE archiver_days.invocations_dated DETACH PARTITION `+table+` CONCURRENTLY`)
	}
	if err != nil {
		return fmt.Errorf("detach its empty table: %w", err)
	}
	if !t.closed {
		return nil
	}
	// Before PostgreSQL 14 it is attached still: all who use the parent are
	// waited for, and wait, for up to LockPatience.
	if _, err = r.Conn.Exec(ctx, `DROP TABLE `+table); err != nil {
		return fmt.Errorf("drop its empty table: %w", err)
	}
	return nil
}
