package load

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

var (
	//go:embed rightfunctions.sql
	rightFunctions string
	//go:embed rightwindows.sql
	rightWindows string
)

// SetRight sets right what a run of the source has written whose clock was ahead: hours
// that have not ended are not read, and no function was seen, and nothing learned, more than
// a day from now. Times of windows stay: the statements that read them have the same rule.
func (s *Store) SetRight(ctx context.Context, source archive.SourceID, now time.Time) error {
	args := pg.Args{"provider": source.Provider, "region": source.Region, "project": source.ProjectID, "now": now}
	var functions []int32
	var batch pgx.Batch
	batch.Queue(rightFunctions, args)
	batch.Queue(`
		DELETE FROM learned
		 WHERE provider = @provider AND region = @region AND project_id = @project AND learned_at > @now::timestamptz + interval '1 day'`, args)
	batch.Queue(`
		SELECT function_id
		  FROM functions f
		 WHERE provider = @provider AND region = @region AND project_id = @project AND EXISTS (
			SELECT
			  FROM windows w
			 WHERE w.function_id = f.function_id AND w.window_start > @now::timestamptz - interval '1 hour' AND planned OFFSET 0)`, args).
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
			_, err := tx.Exec(ctx, rightWindows, pg.Args{"functions": functions, "now": now})
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("set right what a clock ahead has written: %w", err)
	}
	return nil
}
