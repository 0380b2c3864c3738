package load

import (
	"context"
	_ "embed" // statements
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

var (
	//go:embed futurefunctions.sql
	resetFutureFunctions string
	//go:embed futureof.sql
	selectFuture string
	//go:embed futurewindows.sql
	resetFutureWindows string
)

// ResetFuture resets what runs with a clock ahead have written: see archive.Store. Waits and
// rechecks of windows stay: the statements that read them know how long the longest is.
func (s *Store) ResetFuture(ctx context.Context, source archive.SourceID, now time.Time, limit time.Duration) error {
	args := pg.Args{"provider": source.Provider, "region": source.Region, "project": source.ProjectID, "now": now}
	ofWindows := pg.Args{"late": now.Add(limit)}
	maps.Copy(ofWindows, args)
	var functions []int32
	var batch pgx.Batch
	batch.Queue(resetFutureFunctions, args)
	batch.Queue(`
		DELETE FROM learned
		 WHERE provider = @provider AND region = @region AND project_id = @project AND learned_at > @now::timestamptz + interval '1 day'`, args)
	batch.Queue(selectFuture, ofWindows).
		Query(func(rows pgx.Rows) (err error) {
			functions, err = pgx.CollectRows(rows, pgx.RowTo[int32])
			return err
		})
	err := s.pool.SendBatch(ctx, &batch).Close()
	if err == nil && len(functions) > 0 {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, pg.LockWindows, functions); err != nil {
				return fmt.Errorf("wait for writers of windows: %w", err)
			}
			_, err := tx.Exec(ctx, resetFutureWindows, pg.Args{"functions": functions, "now": now, "late": now.Add(limit)})
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("reset what a clock ahead has written: %w", err)
	}
	return nil
}
