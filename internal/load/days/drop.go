package days

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// isBlocked reports whether a statement did not get its locks in time, or could not
// detach a day because detaching another day is pending.
func isBlocked(err error) bool {
	var failed *pgconn.PgError
	if !errors.As(err, &failed) {
		return false
	}
	switch failed.Code {
	case pgerrcode.LockNotAvailable, pgerrcode.DeadlockDetected, pgerrcode.QueryCanceled,
		pgerrcode.ObjectNotInPrerequisiteState:
		return true
	}
	return false
}

// retry calls f up to maxTries times while f is blocked. Between two tries, those
// who wait behind the lock get it.
func retry(f func() error) (err error) {
	for range maxTries {
		if err = f(); !isBlocked(err) {
			return err
		}
	}
	return err
}

// drop takes both steps of a day or month. A day in the table of a month that is kept
// has only the first step. Of a month, the days go first: emptying one takes the locks of
// all commits, and the windows of 31 days would take them too long.
func (r *retention) drop(ctx context.Context, o OldDay) error {
	if o.isMonth() {
		for _, d := range o.days() {
			if err := r.drop(ctx, OldDay{part: dayOf(d)}); err != nil {
				return err
			}
		}
	}
	return r.locked(ctx, o.part, func() error {
		if err := retry(func() error { return r.empty(ctx, o.part) }); err != nil {
			return err
		}
		return retry(func() error { return r.dropTable(ctx, o.part) })
	})
}

// locked calls f under the lock of a part.
func (r *retention) locked(ctx context.Context, p part, f func() error) error {
	class, number := p.lock()
	if _, err := r.conn.Exec(ctx, pg.Lock("pg_advisory_lock"), class, number); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	err := f()
	_, unlocked := r.conn.Exec(ctx, pg.Lock("pg_advisory_unlock"), class, number)
	if err == nil && unlocked != nil {
		err = fmt.Errorf("unlock: %w", unlocked)
	}
	return err
}

// empty is the first step. A worker whose walk goes through the day loses its claim,
// and the walk starts again later: when a walk ends, all records that it saw must be
// in the archive.
//
// pg/locks.go tells the order of locks. empty locks the day's table out of this
// order, and gives up after lockPatience.
//
// Where the rows are is known only under locks: another process may have made or merged
// the table since Older. The lock of a day keeps its own table as it is. The month is
// looked for when no commit can write into it.
func (r *retention) empty(ctx context.Context, p part) error {
	var rows, bytes int64
	err := pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		// Counting figures reads the day's table.
		if _, err := tx.Exec(ctx, pg.FiguresLock); err != nil {
			return fmt.Errorf("wait for its figures: %w", err)
		}
		month := monthOf(p.from)
		states, err := statesOf(ctx, tx, month)
		if err != nil {
			return err
		}
		table, whole := p.table(r.db), states[p].open()
		if whole {
			if _, err := tx.Exec(ctx, `LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE`); err != nil {
				return fmt.Errorf("wait for its readers: %w", err)
			}
			if err := tx.QueryRow(ctx, `SELECT pg_total_relation_size($1::text::regclass)`, table).Scan(&bytes); err != nil {
				return fmt.Errorf("measure its table: %w", err)
			}
		}
		taken, err := takeClaims(ctx, tx, p, nil)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, pg.CommitLock); err != nil {
			return fmt.Errorf("wait for running commits: %w", err)
		}
		// Commits that ended since may have begun walks through the day. Now no
		// commit can begin one.
		if _, err := takeClaims(ctx, tx, p, taken); err != nil {
			return err
		}
		for _, d := range p.days() {
			if err := figures.FreezeDay(ctx, tx, d); err != nil {
				return err
			}
		}
		if rows, err = deletePart(ctx, tx, p); err != nil {
			return err
		}
		if whole {
			_, err = tx.Exec(ctx, `TRUNCATE `+table+`; ALTER TABLE `+table+` ADD CONSTRAINT `+closedName+` CHECK (false)`)
		} else if states, err = statesOf(ctx, tx, month); err == nil && states[month].open() {
			err = deleteRows(ctx, tx, month.table(r.db), p)
		}
		if err != nil {
			return fmt.Errorf("empty its table: %w", err)
		}
		return nil
	})
	if err == nil && (rows > 0 || bytes > 0) {
		r.db.Log.Info("day dropped", "day", p.String(), "rows", rows, "bytes", bytes)
	}
	return err
}

// deleteRows deletes the rows of a day from the table of its month. That takes as long
// as it takes: commits wait.
func deleteRows(ctx context.Context, tx pgx.Tx, table string, p part) error {
	if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE start_time >= $1 AND start_time < $2`, p.from, p.to)
	return err
}

//go:embed takeclaims.sql
var takeClaimsOfWalks string

// takeClaims takes the claims of functions that have a walk through the part, except
// claims that are already taken.
func takeClaims(ctx context.Context, tx pgx.Tx, p part, taken []int32) ([]int32, error) {
	return pg.CollectBy(ctx, tx, pgx.RowTo[int32], "the claims of its walks", takeClaimsOfWalks,
		pg.Args{"from": p.from, "to": p.to, "taken": taken})
}

//go:embed dropwindows.sql
var dropWindows string

// deletePart deletes what belongs to a part outside of its table, and counts the rows
// of the part. The caller keeps commits out.
func deletePart(ctx context.Context, tx pgx.Tx, p part) (rows int64, err error) {
	if _, err := tx.Exec(ctx, pg.LockAllWindows); err != nil {
		return 0, fmt.Errorf("wait for writers of its windows: %w", err)
	}
	if err := tx.QueryRow(ctx, dropWindows, pg.Args{"from": p.from, "to": p.to}).Scan(&rows); err != nil {
		return 0, fmt.Errorf("delete its windows: %w", err)
	}
	for _, statement := range []string{
		`DELETE FROM walks WHERE span_from < $2 AND span_to > $1`,
		`DELETE FROM invocations_undated
		  WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions)) AND queried_window >= $1 AND queried_window < $2`,
		`DELETE FROM rejected_records WHERE window_start >= $1 AND window_start < $2`,
	} {
		if _, err := tx.Exec(ctx, statement, p.from, p.to); err != nil {
			return 0, fmt.Errorf("delete what its windows count: %w", err)
		}
	}
	return rows, nil
}

// dropTable is the second step. A table that is not closed does not belong to
// retention. If an operator began to detach it, dropTable finishes this, because no
// other day can be detached until then.
func (r *retention) dropTable(ctx context.Context, p part) error {
	var states map[part]state
	err := pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) (err error) {
		states, err = statesOf(ctx, tx, monthOf(p.from))
		return err
	})
	if err != nil {
		return err
	}
	table, state := p.table(r.db), states[p]
	switch {
	case state.pending:
		_, err = r.conn.Exec(ctx, `ALTER TABLE invocations_dated DETACH PARTITION `+table+` FINALIZE`)
	case state.attached && state.closed && r.concurrently:
		_, err = r.conn.Exec(ctx, `ALTER TABLE invocations_dated DETACH PARTITION `+table+` CONCURRENTLY`)
	}
	if err != nil {
		return fmt.Errorf("detach its empty table: %w", err)
	}
	if !state.closed {
		return nil
	}
	// Before PostgreSQL 14 the table is still attached, and DROP TABLE locks the
	// parent: it waits at most lockPatience.
	if _, err = r.conn.Exec(ctx, `DROP TABLE `+table); err != nil {
		return fmt.Errorf("drop its empty table: %w", err)
	}
	return nil
}
