package days

import (
	"context"
	_ "embed" // statements
	"fmt"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
)

//go:embed unindexed.sql
var selectUnindexed string

// Index makes the index on functions and times of the days and months that have rows and
// lack the index. The index takes a few bytes for each 16 blocks, because rows of one
// function, or of one hour, are inserted together.
//
// A new day has no such index: during the first load no one searches by time, and
// keeping the index takes a tenth of the time of COPY. Making it afterwards takes a
// hundredth. Later rows of the day are added to the index.
//
// Readers are not blocked. Writers of the same day are blocked while the index is
// made, and before that at most for the lock_timeout of indexPart. If a writer blocks
// indexPart, or another process creates or drops the day, the day is left to the next
// run. A crash leaves days without the index.
func (s *Days) Index(ctx context.Context) error {
	conn, err := s.db.Session(ctx, map[string]string{"lock_timeout": "1s"})
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	names, err := pg.CollectBy(ctx, conn, pgx.RowTo[string], "days to index", selectUnindexed)
	if err != nil {
		return err
	}
	for _, name := range names {
		p, ok := partNamed(name)
		if !ok {
			continue // an operator's table
		}
		err := retry(func() error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return indexPart(ctx, s.db, tx, p) })
		})
		if err != nil && !isBlocked(err) {
			return fmt.Errorf("index %s: %w", name, err)
		}
	}
	return nil
}

func indexPart(ctx context.Context, db *pg.DB, tx pgx.Tx, p part) error {
	class, number := p.lock()
	var locked bool
	err := tx.QueryRow(ctx, pg.Lock("pg_try_advisory_xact_lock"), class, number).Scan(&locked)
	if err != nil || !locked {
		return err
	}
	// Longer than a vacuum after the first load takes to give way.
	if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '1500ms'`); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, p.byTime(db))
	return err
}
