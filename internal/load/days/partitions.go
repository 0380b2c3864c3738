// Package days keeps the tables of the days: partitions, retention, indexes and statistics.
package days

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// Days are the tables of the days of one archive. Many goroutines may use Days at
// once.
//
// Days remembers which tables exist. If another process dropped a table since, the
// write that fails shows this: see Forget.
type Days struct {
	db    *pg.DB
	mu    sync.Mutex
	known map[time.Time]bool
}

// New is the days of the archive in the database.
func New(db *pg.DB) *Days { return &Days{db: db, known: make(map[time.Time]bool)} }

// day is the UTC day of a time, the unit of partitions.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// dayNumber is the second key of a day's lock.
func dayNumber(d time.Time) int32 { return int32(d.Unix() / int64(24*time.Hour/time.Second)) }

const dayPrefix, dayLayout = "invocations_", "20060102"

// Table is the name of a day's table.
func Table(d time.Time) string { return dayPrefix + d.Format(dayLayout) }

// inDays names a day's table with its schema.
func inDays(table string) string { return pgx.Identifier{"archiver_days", table}.Sanitize() }

// Ensure makes the partitions that the invocations fall on, before the
// transaction that fills them: a row never waits for a table to be made.
//
// A crash in here leaves a day that is empty, or none.
func (s *Days) Ensure(ctx context.Context, invocations []archive.Invocation) error {
	for i := range invocations {
		inv := &invocations[i]
		if inv.InFlight() || inv.Start.IsZero() {
			continue
		}
		if err := s.EnsureDay(ctx, day(inv.Start)); err != nil {
			return err
		}
	}
	return nil
}

// MakeAhead makes the partitions of a time's day and the next, so that no page
// of a run that begins then waits for its own.
func (s *Days) MakeAhead(ctx context.Context, at time.Time) error {
	for _, d := range []time.Time{day(at), day(at).AddDate(0, 0, 1)} {
		if err := s.EnsureDay(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// EnsureDay makes a day that is not known to be there. Nobody waits meanwhile
// who needs another day.
func (s *Days) EnsureDay(ctx context.Context, d time.Time) error {
	s.mu.Lock()
	known := s.known[d]
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := s.makeDay(ctx, d); err != nil {
		return fmt.Errorf("make the partition of %s: %w", d.Format(time.DateOnly), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[d] = true
	return nil
}

// Forget makes the next Ensure look at the database again.
func (s *Days) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

// Storage are the settings of a day's table. Its rows are written within a
// few runs and read for years, so:
//
//   - The vacuum that follows the inserts freezes what it visits
//     (freeze_min_age 0). That takes no longer and leaves 14 bytes of WAL a row
//     for 1.2. By default every page would be written again when the table's age
//     makes it, all days at once, and by then as a whole: 127 bytes a row.
//   - It comes after 5% of new rows rather than 20%: what the last one did not
//     see is all that is left unfrozen of a day, since nothing comes later. It
//     visits new pages only and no index: of a day of 400,000 rows that came in
//     96 pieces, 40 vacuums took 1.1 s in all, by default 15 took 0.5 s, with
//     the same WAL.
//
// A fillfactor would keep nothing together: a row that changes is deleted and
// copied anew, see remove. Statistics are made at the end of runs, see Analyze;
// autovacuum's own analyze, after 10%, is right as it is.
const Storage = `autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0.05`

// makeDay makes one day's table, with the index that keeps request ids single,
// and attaches it; the other one comes at the end of a run, see indexDays. Filling and
// then attaching would lock readers out; CREATE … PARTITION OF locks every
// writer of the parent. Attaching an empty table does neither.
//
// What retention left of the day is empty and closed (see retention.empty): a table that
// is still attached is opened again, one that is not is dropped and made anew.
// Any other table of the name is an operator's, and is attached as it is.
func (s *Days) makeDay(ctx context.Context, d time.Time) error {
	name := Table(d)
	table := inDays(name)
	return pgx.BeginFunc(ctx, s.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, $2)`, pg.DayLocks, dayNumber(d)); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		left, err := lookAt(ctx, tx, d)
		if err != nil {
			return err
		}
		var statements []string
		if left.closed || left.pending {
			// Whoever still reads the day is waited for, but not for hours.
			statements = append(statements, `SET LOCAL lock_timeout = '10s'`)
		}
		if left.pending {
			statements = append(statements, `ALTER TABLE archiver_days.invocations_dated DETACH PARTITION `+table+` FINALIZE`)
		}
		switch attached := left.attached && !left.pending; {
		case attached && left.closed:
			statements = append(statements, `ALTER TABLE `+table+` DROP CONSTRAINT `+closedName)
		case attached:
		default:
			if left.closed {
				statements = append(statements, `DROP TABLE `+table)
			}
			// Limits of a partition are constants of the statement, not parameters.
			const layout = "'2006-01-02 15:04:05+00'"
			from, to := d.Format(layout), d.AddDate(0, 0, 1).Format(layout)
			statements = append(statements,
				`CREATE TABLE IF NOT EXISTS `+table+` (LIKE invocations INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
					WITH (`+Storage+`)`,
				`CREATE UNIQUE INDEX IF NOT EXISTS `+pgx.Identifier{name + "_request_id"}.Sanitize()+` ON `+table+` (request_id)`,
				`ALTER TABLE archiver_days.invocations_dated ATTACH PARTITION `+table+` FOR VALUES FROM (`+from+`) TO (`+to+`)`)
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// A dayState is what the database has of a day's table.
type dayState struct {
	attached bool // to invocations_dated
	pending  bool // attached, and a DETACH … CONCURRENTLY of it has begun
	closed   bool // emptied by retention, see its empty
	bytes    int64
}

// SelectDays are the tables named like a day's that are attached, or closed. Before
// PostgreSQL 14 there is no inhdetachpending, and nothing is pending.
const SelectDays = `
	SELECT c.relname, i.inhrelid IS NOT NULL AS attached,
	       COALESCE((to_jsonb(i) ->> 'inhdetachpending')::boolean, false) AS pending,
	       k.conrelid IS NOT NULL AS closed, pg_total_relation_size(c.oid) AS bytes
	  FROM pg_class c
	  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'archiver_days.invocations_dated'::regclass
	  LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = '` + closedName + `'
	 WHERE c.relkind = 'r' AND (i.inhrelid IS NOT NULL OR k.conrelid IS NOT NULL)
	   AND c.relnamespace = 'archiver_days'::regnamespace`

// lookAt is how a day's table stands; the caller holds the day's lock.
func lookAt(ctx context.Context, tx pgx.Tx, d time.Time) (dayState, error) {
	rows, err := tx.Query(ctx, SelectDays+` AND c.relname = $1`, Table(d))
	if err != nil {
		return dayState{}, fmt.Errorf("look up the day: %w", err)
	}
	found, err := collectDays(rows)
	if err != nil {
		return dayState{}, err
	}
	return found[d], nil
}

// days are all of them that are attached, or closed.
func (s *Days) days(ctx context.Context) (map[time.Time]dayState, error) {
	rows, err := s.db.Pool.Query(ctx, SelectDays)
	if err != nil {
		return nil, fmt.Errorf("select days: %w", err)
	}
	return collectDays(rows)
}

// collectDays reads days. A name that is no day's is nobody's business here.
func collectDays(rows pgx.Rows) (map[time.Time]dayState, error) {
	found := make(map[time.Time]dayState)
	var name string
	var s dayState
	_, err := pgx.ForEachRow(rows, []any{&name, &s.attached, &s.pending, &s.closed, &s.bytes}, func() error {
		if d, err := time.Parse(dayPrefix+dayLayout, name); err == nil {
			found[d] = s
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read days: %w", err)
	}
	return found, nil
}
