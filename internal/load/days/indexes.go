package days

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

// indexDays makes the index on functions and times of the days that have rows
// and lack it. It takes a few bytes for each 16 blocks: rows of one function, or
// of one hour, come in together.
//
// A day is made without it: while it is first loaded nobody looks for times,
// and to keep the index with each row takes a tenth of COPY's time, to make it
// afterwards a hundredth. Later rows of the day keep it.
//
// Who reads is not disturbed. Who writes to the very day waits for as long as
// the index takes, and no longer than indexPatience for the lock that it needs:
// where a writer is in the way, the day is left to the next run, as it is where
// another process makes or drops it. A crash leaves days without.
func indexDays(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, SelectDays+`
		   AND i.inhrelid IS NOT NULL AND pg_relation_size(c.oid) > 0 AND pg_has_role(c.relowner, 'USAGE')
		   AND NOT EXISTS (
			SELECT FROM pg_index x JOIN pg_class b ON b.oid = x.indexrelid JOIN pg_am m ON m.oid = b.relam
			 WHERE x.indrelid = c.oid AND m.amname = 'brin')`)
	if err != nil {
		return fmt.Errorf("select days to index: %w", err)
	}
	days, err := collectDays(rows)
	if err != nil {
		return err
	}
	for d, state := range days {
		if state.pending || state.closed {
			continue
		}
		err := persist(func() error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return indexDay(ctx, tx, Table(d), dayNumber(d)) })
		})
		if err != nil && !InTheWay(err) {
			return fmt.Errorf("index %s: %w", Table(d), err)
		}
	}
	return nil
}

// indexPatience is how long those who write to a day wait at most behind the
// wish to index it, at a time: longer than it takes until a vacuum that comes
// after the first load makes way.
const indexPatience = `SET LOCAL lock_timeout = '1500ms'`

func indexDay(ctx context.Context, tx pgx.Tx, name string, number int32) error {
	var mine bool
	if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1, $2)`, pg.DayLocks, number).Scan(&mine); err != nil || !mine {
		return err
	}
	if _, err := tx.Exec(ctx, indexPatience); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		CREATE INDEX IF NOT EXISTS `+pgx.Identifier{name + "_start_time"}.Sanitize()+` ON `+inDays(name)+`
		 USING brin (function_id, start_time) WITH (pages_per_range = 16, autosummarize = on)`)
	return err
}
