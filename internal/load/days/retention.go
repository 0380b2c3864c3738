package days

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
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
// query. Those who do touch it wait for LockPatience at most, then retention
// lets them pass. Once it has the table it waits for the commits under way to
// end, as a commit that is made again does, and holds up others for some
// milliseconds. Detaching CONCURRENTLY waits for everybody who read the parent
// and holds up nobody but those who make a day. Whoever cannot be waited for
// makes retention give up: the next run tries again. A transaction of one
// snapshot that comes to the day only after that finds it empty.
//
// Records in flight stay, and their windows with them: as if found by chance.
const (
	// closedName is the CHECK that says that a table is retention's, and proves
	// that it is empty.
	closedName = "closed_by_retention"

	// LockPatience is shorter than PostgreSQL takes to look for deadlocks: where
	// retention and a commit wait for one another, retention lets go.
	LockPatience = "500ms"
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
func (s *Days) Older(ctx context.Context, before time.Time) ([]OldDay, error) {
	tables, err := s.days(ctx)
	if err != nil {
		return nil, err
	}
	older := make(map[time.Time]OldDay)
	for d, t := range tables {
		if d.Before(day(before)) {
			older[d] = OldDay{Day: d, Partition: Table(d), Bytes: t.bytes}
		}
	}
	// The functions are named so that an index finds the few old windows.
	rows, err := s.db.Pool.Query(ctx, `
		SELECT date_trunc('day', window_start, 'UTC'), sum(records - pending)
		  FROM archiver_internal.windows
		 WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions)) AND window_start < $1
		   AND (planned OR rejected > 0 OR pending = 0 OR records > pending)
		 GROUP BY 1`, day(before))
	if err != nil {
		return nil, fmt.Errorf("select old windows: %w", err)
	}
	counted, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Day  time.Time
		Rows int64
	}])
	if err != nil {
		return nil, fmt.Errorf("read old windows: %w", err)
	}
	for _, c := range counted {
		o := older[c.Day.UTC()]
		o.Day, o.Rows = c.Day.UTC(), c.Rows
		older[o.Day] = o
	}
	return slices.SortedFunc(maps.Values(older), func(a, b OldDay) int { return a.Day.Compare(b.Day) }), nil
}

// A retention is one process's way through the days.
type Retention struct {
	*Days
	Conn         *pgx.Conn
	Concurrently bool // the server detaches without locking the parent: PostgreSQL 14 and later
}

// Retain drops the days that ended before the time given, and all that belongs
// to them. Its error is about days that are left to the next run; where another
// process is at it, they are left to that one.
func (s *Days) Retain(ctx context.Context, before time.Time) error {
	conn, err := s.db.Session(ctx, map[string]string{"lock_timeout": LockPatience, "statement_timeout": retentionPatience})
	if err != nil {
		return err
	}
	// With the session end its locks.
	defer conn.Close(context.WithoutCancel(ctx))
	r := &Retention{Days: s, Conn: conn}
	var free bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1), current_setting('server_version_num')::integer >= 140000`,
		pg.RetentionLock).Scan(&free, &r.Concurrently)
	if err != nil {
		return fmt.Errorf("lock retention: %w", err)
	}
	if !free {
		s.db.Log.Info("retention is at work in another process")
		return nil
	}
	defer s.Forget()
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
		err := r.Drop(ctx, o.Day)
		if err == nil {
			continue
		}
		err = fmt.Errorf("drop the day %s: %w", name, err)
		if !InTheWay(err) {
			return err
		}
		s.db.Log.Warn("day could not be dropped, the next run tries again", "day", name, "error", err)
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

// finish brings to its end what a crash left pending: a parent has one such day
// at a time, which keeps every other one from being detached. One that somebody
// still reads is left, and then the days after it are.
func (r *Retention) finish(ctx context.Context) error {
	tables, err := r.days(ctx)
	if err != nil {
		return err
	}
	for d, t := range tables {
		if !t.pending {
			continue
		}
		err := r.locked(ctx, d, func() error { return r.dropTable(ctx, d) })
		if err != nil && !InTheWay(err) {
			return fmt.Errorf("finish dropping the day %s: %w", d.Format(time.DateOnly), err)
		}
	}
	return nil
}
