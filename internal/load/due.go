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
	//go:embed duemissing.sql
	selectMissing string
	//go:embed dueolder.sql
	selectOlder string
	//go:embed dueresting.sql
	selectResting string
	//go:embed duerechecks.sql
	selectRechecks string
	//go:embed dueunverified.sql
	selectUnverifiedFunctions string
	//go:embed duesettings.sql
	selectSettingsAsked string
	//go:embed plan.sql
	insertPlanned string
)

// Due selects the functions that have something to do: windows of the order's
// range that are not complete, whether or not they have a row; with Older, open
// windows before the range; records in flight and counts whose time has come. The
// function with the oldest window comes first, because the source forgets that
// window first.
func (s *Store) Due(ctx context.Context, functions []archive.Known, o archive.Order, at time.Time) ([]archive.Due, error) {
	var answers dueAnswers
	batch := answers.batch(functions, o, at)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("select what is due: %w", err)
	}
	var due []archive.Due
	for _, f := range functions {
		missing, older := answers.missing[f.ID], answers.older[f.ID]
		if o.Force {
			missing = dueWindows{o.Range.Windows(), o.Range.From}
		}
		d := archive.Due{Known: f, Oldest: o.Range.From}
		switch {
		case older.count > 0:
			d.Oldest = older.oldest
		case missing.count > 0:
			d.Oldest = missing.oldest
		}
		if !o.Compare && !answers.resting[f.ID] {
			d.Windows = missing.count + older.count
		}
		d.Settings = d.Windows > 0 && !answers.settingsAsked[f.ID]
		if d.Windows > 0 || o.Compare || answers.rechecks[f.ID] || answers.unverified[f.ID] {
			due = append(due, d)
		}
	}
	slices.SortFunc(due, func(a, b archive.Due) int {
		return cmp.Or(a.Oldest.Compare(b.Oldest), cmp.Compare(b.Windows, a.Windows), cmp.Compare(a.ID, b.ID))
	})
	return due, nil
}

// dueAnswers are the answers of the statements of Due, by function.
type dueAnswers struct {
	missing       map[int32]dueWindows // to be read, in the range
	older         map[int32]dueWindows // open, before the range
	resting       map[int32]bool       // empty for long: no windows are due
	rechecks      map[int32]bool       // records in flight are to be asked for again
	unverified    map[int32]bool       // windows are to be verified
	settingsAsked map[int32]bool       // within the last archive.SettingsEvery
}

// dueWindows are windows of one function.
type dueWindows struct {
	count  int
	oldest time.Time
}

// batch is the statements that the order needs. Sending the batch fills the answers.
func (a *dueAnswers) batch(functions []archive.Known, o archive.Order, at time.Time) *pgx.Batch {
	ids, from, to := functionIDs(functions), o.Range.From, o.Range.To
	var batch pgx.Batch
	if !o.Force {
		a.missing = queueWindows(&batch, selectMissing, pg.Args{"functions": ids, "from": from, "to": to})
	}
	if o.Older {
		a.older = queueWindows(&batch, selectOlder, pg.Args{"functions": ids, "from": from})
	}
	if o.Rest {
		a.resting = queueFunctions(&batch, selectResting, pg.Args{
			"functions": ids, "from": from, "to": to, "rest_at_most": archive.RestAtMost,
		})
	}
	if o.Follow {
		a.rechecks = queueFunctions(&batch, selectRechecks, pg.Args{"functions": ids, "now": at})
	}
	if by := verifyDue(o, at); by != nil {
		a.unverified = queueFunctions(&batch, selectUnverifiedFunctions, pg.Args{"functions": ids, "from": from, "completed_by": by})
	}
	a.settingsAsked = queueFunctions(&batch, selectSettingsAsked, pg.Args{"functions": ids, "now": at, "every": archive.SettingsEvery})
	return &batch
}

// queueWindows queues a statement that selects windows by function, and returns its
// answer, to be filled by the batch.
func queueWindows(batch *pgx.Batch, sql string, args pg.Args) map[int32]dueWindows {
	answer := make(map[int32]dueWindows)
	batch.Queue(sql, args).Query(func(rows pgx.Rows) error {
		var id int32
		var w dueWindows
		_, err := pgx.ForEachRow(rows, []any{&id, &w.count, &w.oldest}, func() error {
			answer[id] = dueWindows{w.count, w.oldest.UTC()}
			return nil
		})
		return err
	})
	return answer
}

// queueFunctions queues a statement that selects functions, and returns its answer,
// to be filled by the batch.
func queueFunctions(batch *pgx.Batch, sql string, args pg.Args) map[int32]bool {
	answer := make(map[int32]bool)
	batch.Queue(sql, args).Query(func(rows pgx.Rows) error {
		var id int32
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			answer[id] = true
			return nil
		})
		return err
	})
	return answer
}

// verifyDue is the time by which a window must have been completed for its
// verification to be due, or nil if the order verifies no windows.
func verifyDue(o archive.Order, at time.Time) *time.Time {
	if o.VerifyAfter <= 0 {
		return nil
	}
	t := at.Add(-o.VerifyAfter)
	return &t
}

func functionIDs(functions []archive.Known) []int32 {
	ids := make([]int32, len(functions))
	for i, f := range functions {
		ids[i] = f.ID
	}
	return ids
}

// Plan inserts a row for each due window that has none. If the run does not read such
// a window, the status shows it, and later runs read it.
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
