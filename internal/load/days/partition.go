package days

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// storage are the settings of a day's table. Its rows are written within a few runs
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

// makeDay creates the table of a day with the index that keeps request ids unique,
// and attaches it. indexDays makes the other index at the end of a run.
//
// CREATE TABLE … PARTITION OF would lock all writers of the parent, and attaching a
// filled table would lock all readers. Attaching an empty table does neither.
//
// A table that retention has closed is empty. If it is still attached, makeDay opens
// it again; if not, makeDay drops it and creates a new one. Any other table of this
// name belongs to an operator, and is attached as it is.
func (s *Days) makeDay(ctx context.Context, d time.Time) error {
	name := tableOf(d)
	table := inDays(s.db, name)
	return pgx.BeginFunc(ctx, s.db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, $2)`, pg.DayLocks, dayNumber(d)); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		state, err := stateOf(ctx, tx, d)
		if err != nil {
			return err
		}
		var statements []string
		if state.closed || state.pending {
			// These statements wait for readers of the day. A reader may take hours.
			statements = append(statements, `SET LOCAL lock_timeout = '10s'`)
		}
		if state.pending {
			statements = append(statements, `ALTER TABLE invocations_dated DETACH PARTITION `+table+` FINALIZE`)
		}
		switch attached := state.attached && !state.pending; {
		case attached && state.closed:
			statements = append(statements, `ALTER TABLE `+table+` DROP CONSTRAINT `+closedName)
		case attached:
		default:
			if state.closed {
				statements = append(statements, `DROP TABLE `+table)
			}
			// The bounds of a partition must be constants, not parameters.
			const layout = "'2006-01-02 15:04:05+00'"
			from, to := d.Format(layout), d.AddDate(0, 0, 1).Format(layout)
			statements = append(statements,
				`CREATE TABLE IF NOT EXISTS `+table+` (LIKE invocations INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
					WITH (`+storage+`)`,
				`ALTER TABLE `+table+` REPLICA IDENTITY FULL`, // see 00007_replicaidentity.sql
				`CREATE UNIQUE INDEX IF NOT EXISTS `+pgx.Identifier{name + "_request_id"}.Sanitize()+` ON `+table+` (request_id)`,
				`ALTER TABLE invocations_dated ATTACH PARTITION `+table+` FOR VALUES FROM (`+from+`) TO (`+to+`)`)
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}
