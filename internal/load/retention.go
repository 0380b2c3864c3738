package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Retention goes day by day, the oldest first, and for each day in two steps.
//
//  1. One transaction empties the day (TRUNCATE, on the day's own table) and
//     closes it (a CHECK that nothing passes), and deletes its windows, walks,
//     undated and rejected records. A crash leaves all of the day or nothing:
//     no window ever speaks of rows that are gone.
//  2. The table, empty from then on whatever happens, is detached and dropped.
//     A crash leaves it attached, pending or detached, and always closed: the
//     next run finds it by that and goes on. A write that comes before that
//     fails on the CHECK, is made again (see again) and finds the day opened or
//     made anew by makeDay.
//
// The day's advisory lock is held through both, so that makeDay meets a day
// only before or after. Of the others' locks, while it waits for those who read
// the day, retention holds none: it asks for the day's own table, which nobody
// touches who writes days beyond maxLife from it, or names other days in a
// query. Those who do touch it wait for lockPatience at most, then retention
// lets them pass. Once it has the table it waits for the commits under way to
// end, as a commit that is made again does, and holds up others for some
// milliseconds. Detaching CONCURRENTLY waits for everybody who read the parent
// and holds up nobody but those who make a day. Whoever cannot be waited for
// makes retention give up: the next run tries again. A transaction of one
// snapshot that comes to the day only after that finds it empty.
//
// Records in flight stay, and their windows with them: as if found by chance.
const (
	// retentionLock is held by the one process whose retention is at work.
	retentionLock = 0x6172636872657465 // "archrete"

	// closedName is the CHECK that says that a table is retention's, and proves
	// that it is empty.
	closedName = "closed_by_retention"

	// lockPatience is shorter than PostgreSQL takes to look for deadlocks: where
	// retention and a commit wait for one another, retention lets go.
	lockPatience = "500ms"
	// retentionPatience bounds one statement, which may wait for many locks.
	retentionPatience = "10s"

	retentionTries   = 4 // of one step
	maxRetentionLeft = 3 // days left to the next run before the others are as well
)

// An OldDay is one that retention is to drop.
type OldDay struct {
	Day       time.Time
	Partition string // empty where there are only windows left
	Rows      int64  // as the windows count them: undated ones included, those in flight not
	Bytes     int64
}

// Older are the days that ended before the time given, oldest first.
func (s *Store) Older(ctx context.Context, before time.Time) ([]OldDay, error) {
	tables, err := s.days(ctx)
	if err != nil {
		return nil, err
	}
	older := make(map[time.Time]OldDay)
	for d, t := range tables {
		if d.Before(day(before)) {
			older[d] = OldDay{Day: d, Partition: dayTable(d), Bytes: t.bytes}
		}
	}
	// The functions are named so that an index finds the few old windows.
	rows, err := s.pool.Query(ctx, `
		SELECT date_trunc('day', window_start, 'UTC'), sum(records - pending)
		  FROM windows
		 WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions)) AND window_start < $1
		   AND (planned OR rejected > 0 OR pending = 0 OR records > pending)
		 GROUP BY 1`, day(before))
	if err != nil {
		return nil, fmt.Errorf("select old windows: %w", err)
	}
	var d time.Time
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&d, &n}, func() error {
		o := older[d.UTC()]
		o.Day, o.Rows = d.UTC(), n
		older[d.UTC()] = o
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read old windows: %w", err)
	}
	return slices.SortedFunc(maps.Values(older), func(a, b OldDay) int { return a.Day.Compare(b.Day) }), nil
}

// A retention is one process's way through the days.
type retention struct {
	*Store
	conn         *pgx.Conn
	concurrently bool // the server detaches without locking the parent: PostgreSQL 14 and later
}

// Retain drops the days that ended before the time given, and all that belongs
// to them. Its error is about days that are left to the next run; where another
// process is at it, they are left to that one.
func (s *Store) Retain(ctx context.Context, before time.Time) error {
	conn, err := s.session(ctx, map[string]string{"lock_timeout": lockPatience, "statement_timeout": retentionPatience})
	if err != nil {
		return err
	}
	// With the session end its locks.
	defer conn.Close(context.WithoutCancel(ctx))
	r := &retention{Store: s, conn: conn}
	var free bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1), current_setting('server_version_num')::integer >= 140000`,
		int64(retentionLock)).Scan(&free, &r.concurrently)
	if err != nil {
		return fmt.Errorf("lock retention: %w", err)
	}
	if !free {
		s.log.Info("retention is at work in another process")
		return nil
	}
	defer s.forget()
	if err := r.finish(ctx); err != nil {
		return err
	}
	older, err := s.Older(ctx, before)
	if err != nil {
		return err
	}
	var failed error
	left := 0
	for i, o := range older {
		name := o.Day.Format(time.DateOnly)
		err := r.drop(ctx, o.Day)
		if err == nil {
			continue
		}
		err = fmt.Errorf("drop the day %s: %w", name, err)
		if !inTheWay(err) {
			return err
		}
		s.log.Warn("day could not be dropped, the next run tries again", "day", name, "error", err)
		failed = err
		if left++; left == maxRetentionLeft {
			left += len(older) - i - 1
			break
		}
	}
	if failed != nil {
		return fmt.Errorf("%d of %d days are left to the next run: %w", left, len(older), failed)
	}
	return nil
}

// session is a connection of its own, whose settings and locks end with it.
// What the server warns of goes to the log.
func (s *Store) session(ctx context.Context, settings map[string]string) (*pgx.Conn, error) {
	config := s.pool.Config().ConnConfig
	maps.Copy(config.RuntimeParams, settings)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			s.log.Warn("the database warns", "message", n.Message)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// inTheWay reports whether a statement waited for others in vain, or found
// another day's detaching unfinished.
func inTheWay(err error) bool {
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
		if err = f(); !inTheWay(err) {
			return err
		}
	}
	return err
}

// finish brings to its end what a crash left pending: a parent has one such day
// at a time, which keeps every other one from being detached. One that somebody
// still reads is left, and then the days after it are.
func (r *retention) finish(ctx context.Context) error {
	tables, err := r.days(ctx)
	if err != nil {
		return err
	}
	for d, t := range tables {
		if !t.pending {
			continue
		}
		err := r.locked(ctx, d, func() error { return r.dropTable(ctx, d) })
		if err != nil && !inTheWay(err) {
			return fmt.Errorf("finish dropping the day %s: %w", d.Format(time.DateOnly), err)
		}
	}
	return nil
}

// drop takes both steps of a day.
func (r *retention) drop(ctx context.Context, d time.Time) error {
	return r.locked(ctx, d, func() error {
		if err := persist(func() error { return r.empty(ctx, d) }); err != nil {
			return err
		}
		return persist(func() error { return r.dropTable(ctx, d) })
	})
}

// locked holds a day's lock around f.
func (r *retention) locked(ctx context.Context, d time.Time, f func() error) error {
	if _, err := r.conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, partitionLocks, dayNumber(d)); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	err := f()
	_, unlocked := r.conn.Exec(ctx, `SELECT pg_advisory_unlock($1, $2)`, partitionLocks, dayNumber(d))
	if err == nil && unlocked != nil {
		err = fmt.Errorf("unlock: %w", unlocked)
	}
	return err
}

// empty is the first step. Who is on a walk through the day loses the claim
// and begins again: what is seen of a walk must be in the archive when it ends.
//
// The order of locks is that of commits but for the claims, which these take
// first: a commit that has its claim and waits for the day makes this one let
// go, by lockPatience.
func (r *retention) empty(ctx context.Context, d time.Time) error {
	var rows, bytes int64
	err := pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		t, err := lookAt(ctx, tx, d)
		if err != nil {
			return err
		}
		table := pgx.Identifier{dayTable(d)}.Sanitize()
		open := t.attached && !t.pending && !t.closed
		if open {
			bytes = t.bytes
			if _, err := tx.Exec(ctx, `LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE`); err != nil {
				return fmt.Errorf("wait for its readers: %w", err)
			}
		}
		_, err = tx.Exec(ctx, `
			UPDATE claims
			   SET epoch = epoch + 1, expires_at = '-infinity'
			 WHERE function_id IN (SELECT function_id FROM walks WHERE span_from < $2 AND span_to > $1)`, d, d.AddDate(0, 0, 1))
		if err != nil {
			return fmt.Errorf("take the claims of its walks: %w", err)
		}
		if err := alone(ctx, tx, true); err != nil {
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
		r.log.Info("day dropped", "day", d.Format(time.DateOnly), "rows", rows, "bytes", bytes)
	}
	return err
}

// unwind deletes what belongs to a day beside its table, and counts the rows of
// both. No commit is under way meanwhile.
func unwind(ctx context.Context, tx pgx.Tx, d time.Time) (rows int64, err error) {
	const ofTheDay = `function_id = ANY (ARRAY (SELECT function_id FROM functions)) AND window_start >= $1 AND window_start < $2`
	to := d.AddDate(0, 0, 1)
	err = tx.QueryRow(ctx, `
		WITH kept AS (
			UPDATE windows
			   SET state = 'pending', planned = false, records = pending, rejected = 0, source_count = NULL,
			       attempts = 0, last_error = NULL, completed_at = NULL, verified_at = NULL
			 WHERE pending > 0 AND `+ofTheDay+`
		), dropped AS (
			DELETE FROM windows WHERE pending <= 0 AND `+ofTheDay+`
		)
		SELECT COALESCE(sum(records - pending), 0) FROM windows WHERE `+ofTheDay, d, to).Scan(&rows)
	if err != nil {
		return 0, fmt.Errorf("delete its windows: %w", err)
	}
	for _, statement := range []string{
		`DELETE FROM walks WHERE span_from < $2 AND span_to > $1`,
		`DELETE FROM invocations_undated
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
func (r *retention) dropTable(ctx context.Context, d time.Time) error {
	var t dayState
	err := pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) (err error) {
		t, err = lookAt(ctx, tx, d)
		return err
	})
	if err != nil {
		return err
	}
	table := pgx.Identifier{dayTable(d)}.Sanitize()
	switch {
	case t.pending:
		_, err = r.conn.Exec(ctx, `ALTER TABLE invocations_dated DETACH PARTITION `+table+` FINALIZE`)
	case t.attached && t.closed && r.concurrently:
		_, err = r.conn.Exec(ctx, `ALTER TABLE invocations_dated DETACH PARTITION `+table+` CONCURRENTLY`)
	}
	if err != nil {
		return fmt.Errorf("detach its empty table: %w", err)
	}
	if !t.closed {
		return nil
	}
	// Before PostgreSQL 14 it is attached still: all who use the parent are
	// waited for, and wait, for up to lockPatience.
	if _, err = r.conn.Exec(ctx, `DROP TABLE `+table); err != nil {
		return fmt.Errorf("drop its empty table: %w", err)
	}
	return nil
}
