package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// partitionLock is the advisory lock under which days are made, so that two
// processes never make one twice.
const partitionLock = 0x6172636870617274 // "archpart"

// partitions remembers which days are known to be there. It only ever spares a
// look: a day that another process dropped meanwhile is noticed by the write
// that fails, see forget.
type partitions struct {
	mu   sync.Mutex
	days map[time.Time]bool
}

// day is the UTC day of a time, the unit of partitions.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// ensure makes the partitions that the invocations fall on, before the
// transaction that fills them: a row never waits for a table to be made.
//
// A crash in here leaves a day that is empty, or none.
func (s *Store) ensure(ctx context.Context, invocations []archive.Invocation) error {
	s.partitions.mu.Lock()
	defer s.partitions.mu.Unlock()
	for i := range invocations {
		inv := &invocations[i]
		if inv.InFlight() || inv.Start.IsZero() {
			continue
		}
		d := day(inv.Start)
		if s.partitions.days[d] {
			continue
		}
		if err := s.makeDay(ctx, d); err != nil {
			return fmt.Errorf("make the partition of %s: %w", d.Format(time.DateOnly), err)
		}
		s.partitions.days[d] = true
	}
	return nil
}

// forget makes the next ensure look at the database again.
func (s *Store) forget() {
	s.partitions.mu.Lock()
	defer s.partitions.mu.Unlock()
	clear(s.partitions.days)
}

// makeDay makes one day's table with its indexes and attaches it. Filling and
// then attaching would lock readers out; CREATE … PARTITION OF locks every
// writer of the parent. Attaching an empty table does neither.
//
// The index on functions and times takes a few bytes for each 16 blocks: rows
// of one function, or of one hour, come in together.
func (s *Store) makeDay(ctx context.Context, d time.Time) error {
	name := "invocations_" + d.Format("20060102")
	table := pgx.Identifier{name}.Sanitize()
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(partitionLock)); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		var attached bool
		err := tx.QueryRow(ctx, `
			SELECT EXISTS (
				SELECT FROM pg_inherits
				 WHERE inhparent = 'invocations_dated'::regclass AND inhrelid = to_regclass($1))`,
			name).Scan(&attached)
		if err != nil || attached {
			return err
		}
		// Limits of a partition are constants of the statement, not parameters.
		const layout = "'2006-01-02 15:04:05+00'"
		from, to := d.Format(layout), d.AddDate(0, 0, 1).Format(layout)
		for _, statement := range []string{
			`CREATE TABLE IF NOT EXISTS ` + table + ` (LIKE invocations INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`,
			`CREATE UNIQUE INDEX IF NOT EXISTS ` + pgx.Identifier{name + "_request_id"}.Sanitize() + ` ON ` + table + ` (request_id)`,
			`CREATE INDEX IF NOT EXISTS ` + pgx.Identifier{name + "_start_time"}.Sanitize() + ` ON ` + table + `
				USING brin (function_id, start_time) WITH (pages_per_range = 16, autosummarize = on)`,
			`ALTER TABLE invocations_dated ATTACH PARTITION ` + table + ` FOR VALUES FROM (` + from + `) TO (` + to + `)`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}
