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
	//go:embed adopt.sql
	adopt string
	//go:embed takename.sql
	takeName string
	//go:embed seesource.sql
	seeSource string
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
		"owner": owner, "owner_locks": pg.OwnerLocks, "open": s.underWay(),
		"dead_since": at.Add(-archive.DeadAfter),
	})
	if err != nil {
		return 0, fmt.Errorf("end the runs of processes that died: %w", err)
	}
	run := &openRun{order: o, began: at, owner: owner}
	if err := s.insertRun(ctx, run); err != nil {
		return 0, err
	}
	s.openRuns[archive.RunID(run.row)] = run
	return archive.RunID(run.row), nil
}

// An openRun is a run of this process that has not been ended in the database.
type openRun struct {
	row   int64 // run_id; not the run's number if the database has lost its first row; guarded by runsMu
	order archive.Order
	began time.Time
	owner int32
	ended bool // it is not under way
}

// underWay are the rows of the runs that are under way. runsMu is held.
func (s *Store) underWay() []int64 {
	rows := []int64{}
	for _, run := range s.openRuns {
		if !run.ended {
			rows = append(rows, run.row)
		}
	}
	return rows
}

// insertRun inserts the row of a run. runsMu is held.
func (s *Store) insertRun(ctx context.Context, run *openRun) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		o := &run.order
		source, err := see(ctx, tx, o, run.began)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			INSERT INTO runs (asked_by, source_id, range_from, range_to, started_at, seen_at, owner)
			VALUES ($1, $2, $3, $4, $5, $5, $6)
			RETURNING run_id`,
			o.AskedBy, source, o.Range.From, o.Range.To, run.began, run.owner).Scan(&run.row)
		if err != nil {
			return fmt.Errorf("insert a run: %w", err)
		}
		return nil
	})
}

// updateRun changes the row of a run. If a standby took over that lacks the row, the run
// gets another one: the number may be another run's there.
func (s *Store) updateRun(ctx context.Context, run *openRun, statement string, args pg.Args) error {
	for try := 1; ; try++ {
		s.runsMu.Lock()
		args["run"], args["began"] = run.row, run.began
		s.runsMu.Unlock()
		updated, err := s.pool.Exec(ctx, statement, args)
		if err != nil || updated.RowsAffected() > 0 || try > 1 {
			return err
		}
		if err := s.insertLost(ctx, run); err != nil {
			return err
		}
	}
}

// insertLost inserts a run that is open. Until its new number is known, BeginRun would end
// the row as that of a run which is not under way.
func (s *Store) insertLost(ctx context.Context, run *openRun) error {
	s.runsMu.Lock()
	defer s.runsMu.Unlock()
	return s.insertRun(ctx, run)
}

// openRun returns a run that BeginRun has begun, and EndRun has not ended.
func (s *Store) openRun(id archive.RunID) (*openRun, error) {
	s.runsMu.Lock()
	defer s.runsMu.Unlock()
	if run := s.openRuns[id]; run != nil {
		return run, nil
	}
	return nil, fmt.Errorf("run %d is not open", id)
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

// see notes that a run of a source begins. It returns the number of the source.
func see(ctx context.Context, tx pgx.Tx, o *archive.Order, at time.Time) (id int32, err error) {
	args := pg.Args{"provider": o.Source.ID.Provider, "region": o.Source.ID.Region, "project": o.Source.ID.ProjectID}
	if _, err = tx.Exec(ctx, adopt, args); err == nil {
		args["name"] = o.Source.Name
		_, err = tx.Exec(ctx, takeName, args)
	}
	if err == nil {
		maps.Copy(args, pg.Args{
			"retention": o.Source.Retention, "pass": o.Pass(), "at": at, "tick": pg.OrNull(o.Source.Ticks[0]), "later": pg.OrNull(o.Source.Ticks[1]),
		})
		err = tx.QueryRow(ctx, seeSource, args).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("note the source of a run: %w", err)
	}
	return id, nil
}

// NoteRun notes the progress of a run.
func (s *Store) NoteRun(ctx context.Context, id archive.RunID, n archive.Noted, at time.Time) error {
	owner, err := s.db.Live(ctx)
	if err != nil {
		return err
	}
	run, err := s.openRun(id)
	if err != nil {
		return err
	}
	err = s.updateRun(ctx, run, noteRun, pg.Args{
		"at": at, "owner": owner, "windows": n.Windows, "done": n.Done,
		"records": n.Records(), "calls": n.Calls, "refused": n.Refused, "clocks": doubted(n.Doubt),
	})
	if err != nil {
		return fmt.Errorf("update how far run %d has come: %w", id, err)
	}
	return nil
}

// EndRun notes what a run did and how it ended. The run after one that was killed ends
// that one.
func (s *Store) EndRun(ctx context.Context, id archive.RunID, sum archive.Summary, ended error, at time.Time) error {
	run, err := s.openRun(id)
	if err != nil {
		return err
	}
	s.runsMu.Lock()
	run.ended = true // also if the database is away: the next run ends it then
	s.runsMu.Unlock()
	var message *string
	if ended != nil {
		text := pg.Storable(ended.Error())
		message = &text
	}
	err = s.updateRun(ctx, run, endRun, pg.Args{
		"at": at, "outcome": archive.RunOutcome(ended), "error": message,
		"windows": sum.Windows, "done": sum.Done, "complete": sum.Complete,
		"records": sum.Records(), "inserted": sum.Inserted, "rejected": sum.Rejected,
		"calls": sum.Calls, "refused": sum.Refused, "clocks": doubted(sum.Doubt),
	})
	if err != nil {
		return fmt.Errorf("update run %d: %w", id, pg.Unanswered(ctx, err))
	}
	s.runsMu.Lock()
	defer s.runsMu.Unlock()
	delete(s.openRuns, id)
	return nil
}

// doubted is the column clocks.
func doubted(doubt string) *string {
	if doubt == "" {
		return nil
	}
	return &doubt
}
