package days

import (
	"context"
	_ "embed" // statements
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// Retention drops old days one by one, the oldest first. Each day takes two steps:
//
//  1. One transaction empties the day's table (TRUNCATE) and closes it (a CHECK that
//     no row passes), and deletes the windows, walks, undated and rejected records of
//     the day. A crash leaves all of the day or nothing: a window never counts rows
//     that are gone.
//  2. The empty table is detached and dropped. A crash leaves the table attached,
//     pending or detached, and always closed: the next run finds closed tables and
//     goes on. A write to a closed table fails on the CHECK; the commit is tried
//     again, and makeDay opens the table or creates a new one.
//
// The lock of the day is held through both steps, so makeDay sees a day only before
// or after. While retention waits for readers of the day, it holds no lock that other
// days need. Readers and writers of this very day wait at most lockPatience, then
// retention gives up and lets them pass. Once retention has locked the table, it
// waits for the running commits to end, which blocks new commits for some
// milliseconds. DETACH CONCURRENTLY waits for all readers of the parent, and blocks
// only makeDay. If a statement cannot get its locks, retention gives up and the next
// run tries again. A transaction that took its snapshot before the day was emptied
// and reads the day afterwards finds it empty.
//
// Of a month with one table, the rows of old days are deleted one day at a time, in one
// step. Once all of the month is old, its table is dropped in both steps.
//
// Records in flight stay, and so do their windows, as if they had been found by
// chance.
const (
	// closedName is the CHECK of a table that retention has emptied. tables.sql has
	// the same name.
	closedName = "closed_by_retention"

	// lockPatience is shorter than deadlock_timeout: if retention and a commit wait
	// for each other, retention gives up.
	lockPatience = "500ms"
	// statementPatience bounds one statement, which may wait for many locks.
	statementPatience = "10s"

	maxTries  = 4 // of one step
	maxFailed = 3 // days that fail before all others are left to the next run
)

// An OldDay is a day that retention is to drop, or a month if all of it is to be dropped
// and it has one table.
type OldDay struct {
	Day       time.Time // of a month, its first day
	Partition string    // in which its rows are; empty if only windows are left
	Rows      int64     // as the windows count them: with undated records, without those in flight
	Bytes     int64     // of the table; 0 for a day in the table of a month, which stays

	part // what is dropped
}

//go:embed old.sql
var selectOld string

// Older are the days and months that ended before the given time, oldest first.
func (s *Days) Older(ctx context.Context, before time.Time) ([]OldDay, error) {
	states, err := s.states(ctx)
	if err != nil {
		return nil, err
	}
	older := make(map[part]OldDay)
	for p, is := range states {
		if !p.to.After(day(before)) {
			older[p] = OldDay{Day: p.from, Partition: p.name(), Bytes: is.bytes, part: p}
		}
	}
	type dayRows struct {
		Day  time.Time
		Rows int64
	}
	counted, err := pg.Collect[dayRows](ctx, s.db.Pool, "old windows", selectOld, pg.Args{"before": day(before)})
	if err != nil {
		return nil, err
	}
	for _, c := range counted {
		p, month := dayOf(c.Day.UTC()), monthOf(c.Day.UTC())
		if _, old := older[month]; old {
			p = month
		}
		o, found := older[p]
		if !found {
			o = OldDay{Day: p.from, part: p}
			if states[month].attached {
				o.Partition = month.name()
			}
		}
		o.Rows += c.Rows
		older[p] = o
	}
	return slices.SortedFunc(maps.Values(older), func(a, b OldDay) int { return a.from.Compare(b.from) }), nil
}

// A retention is one pass of one process over the old days.
type retention struct {
	*Days
	conn         *pgx.Conn
	concurrently bool // the server detaches without a lock on the parent: PostgreSQL 14 and later
}

// Retain drops the days that ended before the given time, with all that belongs to
// them. Its error is about days that are left to the next run. If another process
// is dropping days, Retain leaves all days to that process; if another process merges a
// month, Retain leaves them to the next run.
func (s *Days) Retain(ctx context.Context, before time.Time) error {
	conn, err := s.db.Session(ctx, map[string]string{"lock_timeout": lockPatience, "statement_timeout": statementPatience})
	if err != nil {
		return err
	}
	// The locks end with the session.
	defer conn.Close(context.WithoutCancel(ctx))
	r := &retention{Days: s, conn: conn}
	var free bool
	err = conn.QueryRow(ctx, pg.Lock("pg_try_advisory_lock"), pg.RetentionLock, 0).Scan(&free)
	if err == nil {
		err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::integer >= 140000`).Scan(&r.concurrently)
	}
	if err != nil {
		return fmt.Errorf("lock retention: %w", err)
	}
	if !free {
		s.db.Log.Info("retention, or a merge of days, is at work in another process")
		return nil
	}
	// Merge, which comes next and takes the same lock, must not meet a session that ends.
	defer conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock_all()`) //nolint:errcheck // the lock ends with the session
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
		err := r.drop(ctx, o)
		if err == nil {
			continue
		}
		err = fmt.Errorf("drop the day %s: %w", o, err)
		if !isBlocked(err) {
			return err
		}
		s.db.Log.Warn("day could not be dropped, the next run tries again", "day", o.String(), "error", err)
		failed = err
		if left++; left == maxFailed {
			left += len(older) - i - 1
			break
		}
	}
	if failed != nil {
		return fmt.Errorf("%d of %d days are left to the next run: %w", left, len(older), failed)
	}
	return nil
}

// finish completes a DETACH that a crash left pending: only one partition of a
// parent can be pending, and no other can be detached until then. If a reader blocks
// it, the day is left, and dropping the other days fails too.
func (r *retention) finish(ctx context.Context) error {
	states, err := r.states(ctx)
	if err != nil {
		return err
	}
	for p, is := range states {
		if !is.pending {
			continue
		}
		err := r.locked(ctx, p, func() error { return r.dropTable(ctx, p) })
		if err != nil && !isBlocked(err) {
			return fmt.Errorf("finish dropping the day %s: %w", p, err)
		}
	}
	return nil
}
