// Package days keeps the partitions of settled invocations, one table for each UTC day
// and, for what is older than two months, for each month: it creates the tables, merges
// days into months, drops old ones (retention), and makes their indexes and statistics.
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
	clock archive.Clock // nil: no month is old
}

// New is the days of the archive in the database.
func New(db *pg.DB) *Days { return &Days{db: db, known: make(map[time.Time]bool)} }

// oldAfter is how long after its end a month is old.
const oldAfter = 31 * 24 * time.Hour

// UseClock makes Days keep the days of old months in one table each, so that an archive
// of years has few partitions: a query that cannot tell its days while it is planned
// locks and plans all of them. At most 62 days before the newest have tables of their own,
// because inserts into a small table are faster. Without a clock, all days have.
func (s *Days) UseClock(clock archive.Clock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = clock
}

// oldBefore is the time before which all days of a month that ended are to be in one
// table; zero for none. No wrong clock alone makes a month old: it goes by the earliest of
// the clock, the database's, and the end of the newest hour of the archive. expected says
// that the archive is taken to be archived up to now.
func (s *Days) oldBefore(ctx context.Context, q pg.Querier, expected bool) (time.Time, error) {
	s.mu.Lock()
	clock := s.clock
	s.mu.Unlock()
	if clock == nil {
		return time.Time{}, nil
	}
	first := clock.Now()
	type bounds struct{ Now, Newest *time.Time }
	by, err := pg.Collect[bounds](ctx, q, "how far the archive is", `
		SELECT clock_timestamp(), (SELECT max(n.newest) FROM (`+selectNewest+`) AS n)`, pg.Args{})
	if err != nil {
		return time.Time{}, err
	}
	bound := []*time.Time{by[0].Now}
	if !expected {
		bound = append(bound, by[0].Newest)
	}
	for _, t := range bound {
		if t == nil {
			return time.Time{}, nil
		}
		if t.Before(first) {
			first = *t
		}
	}
	return first.Add(-oldAfter), nil
}

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

// A state is the state of a part's table.
type state struct {
	attached bool // to invocations_dated
	pending  bool // attached, and a DETACH … CONCURRENTLY of the table has begun
	closed   bool // emptied by retention: see retention.empty
	bytes    int64
}

// open reports whether the table takes rows.
func (s state) open() bool { return s.attached && !s.pending && !s.closed }

// selectTables selects the tables of parts with their state.
//
//go:embed tables.sql
var selectTables string

// statesOf are the states, without bytes, of the parts of a month that have a table: the
// month, or days. The caller holds the lock of the part that it changes.
func statesOf(ctx context.Context, tx pgx.Tx, month part) (map[part]state, error) {
	// The size of a table is known only to those who may lock it.
	return collectStates(ctx, tx, `SELECT relname, attached, pending, closed, 0 FROM (`+selectTables+`) AS d WHERE starts_with(relname, $1)`, month.name())
}

// states are the states of all parts that have a table.
func (s *Days) states(ctx context.Context) (map[part]state, error) {
	return collectStates(ctx, s.db.Pool, `SELECT relname, attached, pending, closed, pg_total_relation_size(oid) FROM (`+selectTables+`) AS d`)
}

// collectStates skips tables that are not named like a part's.
func collectStates(ctx context.Context, q pg.Querier, sql string, args ...any) (map[part]state, error) {
	rows, err := q.Query(ctx, sql, args...) //nolint:rowserrcheck // pgx.ForEachRow returns rows.Err
	if err != nil {
		return nil, fmt.Errorf("select days: %w", err)
	}
	found := make(map[part]state)
	var name string
	var s state
	_, err = pgx.ForEachRow(rows, []any{&name, &s.attached, &s.pending, &s.closed, &s.bytes}, func() error {
		if p, ok := partNamed(name); ok {
			found[p] = s
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read days: %w", err)
	}
	return found, nil
}
