package load

import (
	"context"
	_ "embed" // statements
	"fmt"
	"maps"
	"slices"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

var (
	//go:embed noterun.sql
	noteRun string
	//go:embed closeruns.sql
	closeRuns string
	//go:embed endrun.sql
	endRun string
)

// BeginRun notes what a run was asked for. It ends the runs whose processes have died.
func (s *Store) BeginRun(ctx context.Context, o archive.Order, at time.Time) (id archive.RunID, err error) {
	owner, err := s.db.Live(ctx)
	if err != nil {
		return 0, err
	}
	s.runsMu.Lock()
	defer s.runsMu.Unlock()
	_, err = s.pool.Exec(ctx, closeRuns, pg.Args{
		"owner": owner, "owner_locks": pg.OwnerLocks, "open": slices.AppendSeq([]int64{}, maps.Keys(s.openRuns)),
		"dead_since": at.Add(-archive.DeadAfter),
	})
	if err != nil {
		return 0, fmt.Errorf("end the runs of processes that died: %w", err)
	}
	err = s.pool.QueryRow(ctx, `
		INSERT INTO runs (asked_by, range_from, range_to, started_at, seen_at, owner)
		VALUES ($1, $2, $3, $4, $4, $5)
		RETURNING run_id`,
		o.AskedBy, o.Range.From, o.Range.To, at, owner).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("insert a run: %w", err)
	}
	s.openRuns[int64(id)] = true
	return id, nil
}

// UnderWay returns when the newest run of a command began that has not ended: it goes on, or
// its process died. It is zero if there is none.
func (s *Store) UnderWay(ctx context.Context, askedBy string) (began time.Time, err error) {
	var at *time.Time
	err = s.pool.QueryRow(ctx, `SELECT max(started_at) FROM runs WHERE outcome = 'running' AND asked_by = $1`, askedBy).Scan(&at)
	if err != nil {
		return time.Time{}, fmt.Errorf("look for runs under way: %w", err)
	}
	return pg.OrZero(at), nil
}

// NoteRun notes the progress of a run.
func (s *Store) NoteRun(ctx context.Context, id archive.RunID, n archive.Noted, at time.Time) error {
	owner, err := s.db.Live(ctx)
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, noteRun, pg.Args{
		"run": id, "at": at, "owner": owner, "windows": n.Windows, "done": n.Done,
		"records": n.Records(), "calls": n.Calls, "refused": n.Refused,
	})
	if err != nil {
		return fmt.Errorf("update how far run %d has come: %w", id, err)
	}
	return nil
}

// EndRun notes what a run did and how it ended. The run after one that was killed ends
// that one.
func (s *Store) EndRun(ctx context.Context, id archive.RunID, sum archive.Summary, ended error, at time.Time) error {
	s.runsMu.Lock()
	delete(s.openRuns, int64(id))
	s.runsMu.Unlock()
	var message *string
	if ended != nil {
		text := pg.Storable(ended.Error())
		message = &text
	}
	_, err := s.pool.Exec(ctx, endRun, pg.Args{
		"run": id, "at": at, "outcome": archive.RunOutcome(ended), "error": message,
		"windows": sum.Windows, "done": sum.Done, "complete": sum.Complete,
		"records": sum.Records(), "inserted": sum.Inserted, "rejected": sum.Rejected,
		"calls": sum.Calls, "refused": sum.Refused,
	})
	if err != nil {
		return fmt.Errorf("update run %d: %w", id, err)
	}
	return nil
}
