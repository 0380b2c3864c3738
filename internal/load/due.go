package load

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// Due selects the functions that have something to do: windows of the order's
// range that are not complete, whether or not they have a row; with Older, open
// windows before the range; records in flight and counts whose time has come. The
// function with the oldest window comes first, because the source forgets that
// window first.
func (s *Store) Due(ctx context.Context, functions []archive.Known, o archive.Order, at time.Time) ([]archive.Due, error) {
	known := make(map[int32]archive.Known, len(functions))
	for _, f := range functions {
		known[f.ID] = f
	}
	read := func(row pgx.CollectableRow) (d archive.Due, err error) {
		var id int32
		err = row.Scan(&id, &d.Windows, &d.Oldest, &d.Settings)
		d.Known = known[id]
		return d, err
	}
	return pg.CollectBy(ctx, s.pool, read, "what is due", selectDue, dueArgs(functions, o, at))
}

//go:embed due.sql
var selectDue string

func dueArgs(functions []archive.Known, o archive.Order, at time.Time) pg.Args {
	ids := make([]int32, len(functions))
	for i, f := range functions {
		ids[i] = f.ID
	}
	return pg.Args{
		"functions": ids, "from": o.Range.From, "to": o.Range.To,
		"force": o.Force, "older": o.Older, "compare": o.Compare, "follow": o.Follow, "rest": o.Rest,
		"now": at, "verify_completed_by": verifyDue(o, at),
		"rest_at_most": archive.RestAtMost, "settings_every": archive.SettingsEvery,
	}
}

// verifyDue is by when a window must have been completed so that it is due for
// verification; nil if the order verifies nothing.
func verifyDue(o archive.Order, at time.Time) *time.Time {
	if o.VerifyAfter <= 0 {
		return nil
	}
	t := at.Add(-o.VerifyAfter)
	return &t
}

// Plan gives the windows that are due a row each, if they have none. A window that
// was asked for and not read is then seen, and later runs read it.
func (s *Store) Plan(ctx context.Context, due []archive.Due, o archive.Order) error {
	if o.Compare {
		return nil
	}
	var ids []int32
	for _, d := range due {
		if d.Windows > 0 {
			ids = append(ids, d.ID)
		}
	}
	var batch pgx.Batch // one transaction
	batch.Queue(pg.LockWindows, ids)
	batch.Queue(insertPlanned, pg.Args{"functions": ids, "from": o.Range.From, "to": o.Range.To})
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("insert the windows of %d functions: %w", len(ids), err)
	}
	return nil
}

//go:embed plan.sql
var insertPlanned string
