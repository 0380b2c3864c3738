// Package days keeps one table for each UTC day of invocations: it creates the
// tables, drops old ones (retention), and makes their indexes and statistics.
package days

import (
	"context"
	_ "embed" // statements
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
// write to this table fails: then Forget is called and the write is tried again.
type Days struct {
	db    *pg.DB
	mu    sync.Mutex
	known map[time.Time]bool
}

// New is the days of the archive in the database.
func New(db *pg.DB) *Days { return &Days{db: db, known: make(map[time.Time]bool)} }

// day is the UTC day of a time, the unit of partitions.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// dayNumber is the second key of a day's lock: days since 1970.
func dayNumber(d time.Time) int32 { return int32(d.Unix() / int64(24*time.Hour/time.Second)) }

const dayPrefix, dayLayout = "invocations_", "20060102"

// tableOf is the name of a day's table, without its schema.
func tableOf(d time.Time) string { return dayPrefix + d.Format(dayLayout) }

// inDays is the name of a day's table with its schema, quoted.
func inDays(db *pg.DB, table string) string { return pgx.Identifier{db.Schema.Days, table}.Sanitize() }

// Ensure creates the tables of all days that the invocations start on. A commit
// calls Ensure before its transaction, so that the transaction, which holds locks,
// never waits for a table to be created.
//
// A crash leaves an empty day, or none.
func (s *Days) Ensure(ctx context.Context, invocations []archive.Invocation) error {
	for i := range invocations {
		inv := &invocations[i]
		if inv.InFlight() || inv.Start.IsZero() {
			continue
		}
		if err := s.ensureDay(ctx, day(inv.Start)); err != nil {
			return err
		}
	}
	return nil
}

// MakeAhead creates the tables of the day of a time and of the next day, so that
// pages of a run that begins at this time do not wait for them.
func (s *Days) MakeAhead(ctx context.Context, at time.Time) error {
	for _, d := range []time.Time{day(at), day(at).AddDate(0, 0, 1)} {
		if err := s.ensureDay(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// ensureDay creates the table of a day unless it is known to exist. It blocks no one
// who needs another day.
func (s *Days) ensureDay(ctx context.Context, d time.Time) error {
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

// Forget makes Ensure ask the database again.
func (s *Days) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

// A dayState is the state of a day's table.
type dayState struct {
	attached bool // to invocations_dated
	pending  bool // attached, and a DETACH … CONCURRENTLY of the table has begun
	closed   bool // emptied by retention: see retention.empty
	bytes    int64
}

// selectTables selects the tables of days with their state.
//
//go:embed tables.sql
var selectTables string

// stateOf is the state of a day's table. The caller holds the day's lock.
func stateOf(ctx context.Context, tx pgx.Tx, d time.Time) (dayState, error) {
	found, err := collectStates(ctx, tx, `SELECT * FROM (`+selectTables+`) AS d WHERE relname = $1`, tableOf(d))
	return found[d], err
}

// states are the states of all days that have a table.
func (s *Days) states(ctx context.Context) (map[time.Time]dayState, error) {
	return collectStates(ctx, s.db.Pool, selectTables)
}

// collectStates skips tables that are not named like a day's: an operator may have
// attached them.
func collectStates(ctx context.Context, q pg.Querier, sql string, args ...any) (map[time.Time]dayState, error) {
	rows, err := q.Query(ctx, sql, args...) //nolint:rowserrcheck // pgx.ForEachRow returns rows.Err
	if err != nil {
		return nil, fmt.Errorf("select days: %w", err)
	}
	found := make(map[time.Time]dayState)
	var name string
	var s dayState
	_, err = pgx.ForEachRow(rows, []any{&name, &s.attached, &s.pending, &s.closed, &s.bytes}, func() error {
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
