package load

import (
	"context"
	"fmt"
	"time"

	"archiver/internal/load/pg"
)

// An Ignoring says who gives something up, why and when.
type Ignoring struct {
	By, Reason string
	At         time.Time
	Undo       bool // takes it back
}

func (i *Ignoring) args(of string, what any) pg.Args {
	return pg.Args{of: what, "by": pg.Storable(i.By), "reason": pg.Storable(i.Reason), "at": i.At, "undo": i.Undo}
}

// Ignore gives functions up: run and once do not read them, and no verdict counts their
// hours. It returns the URNs of those that were not given up before; with Undo, of those that
// were.
func (s *Store) Ignore(ctx context.Context, functions []int32, i Ignoring) ([]string, error) {
	return s.ignore(ctx, "functions", `
		UPDATE functions
		   SET ignored_at = CASE WHEN NOT @undo THEN @at::timestamptz END, ignored_by = CASE WHEN NOT @undo THEN @by::text END,
		       ignored_reason = CASE WHEN NOT @undo THEN @reason::text END
		 WHERE function_id = ANY (@functions::integer[]) AND (ignored_at IS NOT NULL) = @undo
		RETURNING function_urn`, i.args("functions", functions))
}

// IgnoreSource gives the sources of a name up until their next pass. It returns their names.
func (s *Store) IgnoreSource(ctx context.Context, name string, i Ignoring) ([]string, error) {
	return s.ignore(ctx, "sources", `
		UPDATE source_notes
		   SET ignored_at = CASE WHEN NOT @undo THEN @at::timestamptz END, ignored_by = CASE WHEN NOT @undo THEN @by::text END,
		       ignored_reason = CASE WHEN NOT @undo THEN @reason::text END
		 WHERE name = @source::text AND (ignored_at IS NOT NULL) = @undo
		RETURNING name`, i.args("source", name))
}

func (s *Store) ignore(ctx context.Context, what, statement string, args pg.Args) ([]string, error) {
	type row struct{ Name string }
	rows, err := pg.Collect[row](ctx, s.pool, "the "+what+" that are given up", statement, args)
	if err != nil {
		return nil, fmt.Errorf("give %s up: %w", what, err)
	}
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Name
	}
	return names, nil
}
