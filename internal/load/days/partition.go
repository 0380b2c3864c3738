package days

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// storage are the settings of a part's table. Its rows are written within a few runs
// and read for years:
//
//   - autovacuum_freeze_min_age: the vacuum after the inserts freezes the pages that
//     it visits. This takes no longer, and writes 14 bytes of WAL a row instead of
//     1.2. By default PostgreSQL would write each page again when the table reaches
//     autovacuum_freeze_max_age: of all days at once, and 127 bytes of WAL a row.
//   - autovacuum_vacuum_insert_scale_factor: the vacuum runs after 5% of new rows
//     rather than 20%. Rows after the last vacuum stay unfrozen, since later no rows
//     come to the day. The vacuum visits only new pages and no index. Of a day of
//     400,000 rows that came in 96 parts, 40 vacuums took 1.1 s together; by default
//     15 vacuums took 0.5 s, with the same WAL.
//
// A fillfactor would not help: a changed row is deleted and inserted by COPY.
const storage = `autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0.05`

// makeDay creates the table of a day, or of its month if the month is old and no day
// of it has a table, with the index that keeps request ids unique, and attaches it.
// Index makes the other index at the end of a run.
//
// CREATE TABLE … PARTITION OF would lock all writers of the parent, and attaching a
// filled table would lock all readers. Attaching an empty table does neither.
//
// A table that retention has closed is empty. If it is still attached, makeDay opens
// it again; if not, makeDay drops it and creates a new one. Any other table of this
// name belongs to an operator, and is attached as it is.
func (s *Days) makeDay(ctx context.Context, d time.Time) error {
	p, month := dayOf(d), monthOf(d)
	return pgx.BeginFunc(ctx, s.db.Pool, func(tx pgx.Tx) error {
		var states map[part]state
		for _, locked := range []part{p, month} {
			class, number := locked.lock()
			_, err := tx.Exec(ctx, pg.Lock("pg_advisory_xact_lock"), class, number)
			if err != nil {
				return fmt.Errorf("lock: %w", err)
			}
			if states, err = statesOf(ctx, tx, month); err != nil {
				return err
			}
			if states[p].attached {
				break // Merge takes the locks of all days
			}
		}
		in, err := s.inMonth(ctx, tx, states, month)
		if err != nil {
			return err
		}
		if in {
			p = month
		}
		for _, statement := range makes(s.db, p, states[p]) {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// inMonth reports whether the days of a month are, or are to be, in one table.
func (s *Days) inMonth(ctx context.Context, tx pgx.Tx, states map[part]state, month part) (bool, error) {
	if states[month].attached {
		return true, nil
	}
	for p, is := range states {
		if p != month && is.attached {
			return false, nil // Merge puts these days into one table later
		}
	}
	old, err := s.oldBefore(ctx, tx, false)
	return month.to.Before(old), err
}

// makes are the statements that make a part's table take rows.
func makes(db *pg.DB, p part, is state) (statements []string) {
	if is.closed || is.pending {
		// These statements wait for readers of the part. A reader may take hours.
		statements = append(statements, `SET LOCAL lock_timeout = '10s'`)
	}
	if is.pending {
		statements = append(statements, `ALTER TABLE invocations_dated DETACH PARTITION `+p.table(db)+` FINALIZE`)
	}
	switch attached := is.attached && !is.pending; {
	case attached && is.closed:
		return append(statements, `ALTER TABLE `+p.table(db)+` DROP CONSTRAINT `+closedName)
	case attached:
		return statements
	case is.closed:
		statements = append(statements, `DROP TABLE `+p.table(db))
	}
	return append(statements, p.create(db), p.unique(db), p.attach(db))
}
