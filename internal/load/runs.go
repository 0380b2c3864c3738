package load

import (
	"context"
	"fmt"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// BeginRun notes what a run was asked for.
func (s *Store) BeginRun(ctx context.Context, o archive.Order, at time.Time) (id archive.RunID, err error) {
	err = s.pool.QueryRow(ctx, `
		INSERT INTO runs (asked_by, range_from, range_to, started_at, seen_at)
		VALUES ($1, $2, $3, $4, $4)
		RETURNING run_id`,
		o.AskedBy, o.Range.From, o.Range.To, at).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("insert a run: %w", err)
	}
	return id, nil
}

// NoteRun notes how far a run has come.
func (s *Store) NoteRun(ctx context.Context, id archive.RunID, n archive.Noted, at time.Time) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE runs
		   SET seen_at = $2, windows_planned = $3, windows_done = $4, records_done = $5, calls_done = $6, refused_done = $7
		 WHERE run_id = $1`,
		id, at, n.Windows, n.Done, n.Records(), n.Calls, n.Refused)
	if err != nil {
		return fmt.Errorf("update how far run %d has come: %w", id, err)
	}
	return nil
}

// EndRun notes what a run did and how it ended. A run that was killed stays
// without an end.
func (s *Store) EndRun(ctx context.Context, id archive.RunID, sum archive.Summary, ended error, at time.Time) error {
	var message *string
	if ended != nil {
		text := pg.Storable(ended.Error())
		message = &text
	}
	_, err := s.pool.Exec(ctx, `
		UPDATE runs
		   SET finished_at = $2, windows = $3::bigint, complete = $4, records = $5, inserted = $6,
		       rejected = $7, calls = $8, outcome = $9, error = $10,
		       seen_at = $2, windows_planned = $3::bigint, windows_done = $11, records_done = $5, calls_done = $8, refused_done = $12
		 WHERE run_id = $1`,
		id, at, sum.Windows, sum.Complete, sum.Records(), sum.Inserted, sum.Rejected, sum.Calls, archive.RunOutcome(ended), message,
		sum.Done, sum.Refused)
	if err != nil {
		return fmt.Errorf("update run %d: %w", id, err)
	}
	return nil
}
