package load

import (
	"cmp"
	"context"
	_ "embed" // statements
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

var (
	//go:embed learn.sql
	upsertLearned string
	//go:embed prove.sql
	proveWindows string
)

// Learned returns what was learned of the source since a time. Times are in UTC.
func (s *Store) Learned(ctx context.Context, source archive.SourceID, since time.Time) ([]archive.Learned, error) {
	return pg.CollectBy(ctx, s.pool, func(row pgx.CollectableRow) (l archive.Learned, err error) {
		var from, to *time.Time
		err = row.Scan(&l.What, &l.Function, &l.Value, &from, &to, &l.Proven, &l.At)
		l.Span = archive.Span{From: pg.OrZero(from).UTC(), To: pg.OrZero(to).UTC()}
		l.At = l.At.UTC()
		return l, err
	}, "what was learned", `
		SELECT what, function_id, value, span_from, span_to, proven, learned_at
		  FROM learned
		 WHERE provider = $1 AND region = $2 AND project_id = $3 AND learned_at >= $4
		 ORDER BY what, function_id, value`, source.Provider, source.Region, source.ProjectID, since)
}

// Learn keeps what was learned of the source. A count that was proven and an age replace
// a smaller value, or a value that is not believed any more. All other lessons replace
// the value that was there. What is not believed any more is deleted.
func (s *Store) Learn(ctx context.Context, source archive.SourceID, learned []archive.Learned) error {
	if len(learned) == 0 {
		return nil
	}
	learned = slices.Clone(learned)
	// One order for all processes, so that two of them do not deadlock. Of equal keys, the
	// statement takes the last.
	slices.SortStableFunc(learned, func(a, b archive.Learned) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Function, b.Function), cmp.Compare(a.Value, b.Value))
	})
	n := len(learned)
	whats, functions, values := make([]string, n), make([]int32, n), make([]int64, n)
	from, to := make([]*time.Time, n), make([]*time.Time, n)
	proven, at := make([]bool, n), make([]time.Time, n)
	var last time.Time
	for i, l := range learned {
		whats[i], functions[i], values[i] = string(l.What), l.Function, l.Value
		from[i], to[i] = pg.OrNull(l.Span.From), pg.OrNull(l.Span.To)
		proven[i], at[i] = l.Proven, l.At
		if l.At.After(last) {
			last = l.At
		}
	}
	_, err := s.pool.Exec(ctx, upsertLearned, pg.Args{
		"provider": source.Provider, "region": source.Region, "project": source.ProjectID,
		"whats": whats, "functions": functions, "values": values, "from": from, "to": to,
		"proven": proven, "at": at, "life": archive.LearnedLife,
	})
	if err != nil {
		return fmt.Errorf("keep %d lessons: %w", n, pg.Unanswered(ctx, err))
	}
	// A crash before this line leaves rows that nobody believes.
	_, err = s.pool.Exec(ctx, `
		DELETE FROM learned
		 WHERE provider = $1 AND region = $2 AND project_id = $3 AND learned_at < $4`,
		source.Provider, source.Region, source.ProjectID, last.Add(-archive.LearnedLife))
	if err != nil {
		return fmt.Errorf("delete lessons that are not believed any more: %w", err)
	}
	return nil
}

// Unlearn forgets all that was learned of the sources that match, and returns how many
// lessons. An empty field matches all sources.
func (s *Store) Unlearn(ctx context.Context, source archive.SourceID) (int, error) {
	deleted, err := s.pool.Exec(ctx, `
		DELETE FROM learned
		 WHERE $1 IN ('', provider) AND $2 IN ('', region) AND $3 IN ('', project_id)`,
		source.Provider, source.Region, source.ProjectID)
	if err != nil {
		return 0, fmt.Errorf("delete what was learned: %w", err)
	}
	return int(deleted.RowsAffected()), nil
}

// Prove makes windows complete that are expired and unproven: those of the source that
// began at most age before they were read, and those that ended at most age before, if no
// earlier window is unproven. It returns how many.
func (s *Store) Prove(ctx context.Context, source archive.SourceID, age time.Duration) (int, error) {
	args := pg.Args{"provider": source.Provider, "region": source.Region, "project": source.ProjectID}
	functions, err := pg.CollectBy(ctx, s.pool, pgx.RowTo[int32], "functions with unproven windows", `
		SELECT function_id
		  FROM functions f
		 WHERE provider = @provider AND region = @region AND project_id = @project AND EXISTS (
			SELECT
			  FROM windows w
			 WHERE w.function_id = f.function_id AND state = 'expired' AND unproven OFFSET 0)`, args)
	if err != nil || len(functions) == 0 {
		return 0, pg.Unanswered(ctx, err)
	}
	var proved int64
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pg.LockWindows, functions); err != nil {
			return fmt.Errorf("wait for writers of windows: %w", err)
		}
		updated, err := tx.Exec(ctx, proveWindows, pg.Args{"functions": functions, "age": age})
		proved = updated.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("prove windows of %d functions: %w", len(functions), pg.Unanswered(ctx, err))
	}
	return int(proved), nil
}

// An Acknowledged is what was acknowledged of a function. Times are in UTC.
type Acknowledged struct {
	URN         string
	Windows     int64
	First, Last time.Time // starts of the first and the last of these windows
}

// Acknowledge notes that an operator knows of the windows that were missed and start
// before the given time, of all sources. It returns those that had not been acknowledged,
// by function.
func (s *Store) Acknowledge(ctx context.Context, before time.Time) (acknowledged []Acknowledged, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pg.LockAllWindows); err != nil {
			return fmt.Errorf("wait for writers of windows: %w", err)
		}
		acknowledged, err = pg.Collect[Acknowledged](ctx, tx, "the windows acknowledged", `
			WITH acknowledged AS (
				UPDATE windows
				   SET acknowledged_at = clock_timestamp()
				 WHERE state = 'expired' AND missed AND acknowledged_at IS NULL AND window_start < @before
				RETURNING function_id, window_start)
			SELECT function_urn, count(*), min(window_start), max(window_start)
			  FROM acknowledged
			  JOIN functions USING (function_id)
			 GROUP BY function_urn
			 ORDER BY function_urn`, pg.Args{"before": before})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("acknowledge windows: %w", err)
	}
	return acknowledged, nil
}
