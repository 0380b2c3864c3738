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
	//go:embed duegap.sql
	selectGap string
	//go:embed dueresting.sql
	selectResting string
	//go:embed duerechecks.sql
	selectRechecks string
	//go:embed dueunverified.sql
	selectUnverifiedFunctions string
	//go:embed duegone.sql
	selectAskedLately string
	//go:embed duesettings.sql
	selectSettingsAsked string
	//go:embed rangestate.sql
	rangeState string
	//go:embed plan.sql
	insertPlanned string
)

// Due selects the functions that have something to do: windows of the order's
// range that are neither complete nor expired, whether or not they have a row; with
// Older, open windows before the range, and hours that the source forgot while no run
// planned them; records in flight and counts whose time has come. Windows that wait are
// only counted. The function with the oldest window comes
// first.
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
			missing = everyWindow(archive.Span{From: o.Range.From, To: earlier(o.Range.To, until(f))})
		}
		windows := older.and(answers.gap[f.ID]).and(missing)
		d := archive.Due{Known: f, Oldest: o.Range.From}
		if windows.count > 0 {
			d.Oldest = windows.oldest
		}
		if !o.Compare && !answers.resting[f.ID] && !answers.askedLately[f.ID] {
			d.Windows, d.Newest, d.Waiting = windows.count, windows.newest, windows.waiting
		}
		d.Settings = d.Windows > 0 && !answers.settingsAsked[f.ID]
		if d.Windows+d.Waiting > 0 || o.Compare || answers.rechecks[f.ID] || answers.unverified[f.ID] {
			due = append(due, d)
		}
	}
	slices.SortFunc(due, func(a, b archive.Due) int {
		return cmp.Or(a.Oldest.Compare(b.Oldest), cmp.Compare(b.Windows, a.Windows), cmp.Compare(a.ID, b.ID))
	})
	return due, nil
}

// RangeState returns how many windows of the functions lie in a range, and how many of these are
// complete.
func (s *Store) RangeState(ctx context.Context, functions []archive.Known, r archive.Span) (complete, windows int, err error) {
	for _, f := range functions {
		windows += max(0, archive.Span{From: r.From, To: earlier(r.To, until(f))}.Windows())
	}
	err = s.pool.QueryRow(ctx, rangeState, pg.Args{"functions": functionIDs(functions), "from": r.From, "to": r.To}).Scan(&complete)
	if err != nil {
		return 0, 0, fmt.Errorf("count the complete windows of %s: %w", r, err)
	}
	return complete, max(windows, complete), nil
}

// forever is later than any window.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// until is the time at which the windows of a function end: the end of the hour in which
// the source's list last named it, or forever for a function that is listed.
func until(f archive.Known) time.Time {
	if f.Missing.IsZero() {
		return forever
	}
	return archive.WindowOf(f.Missing).Add(archive.Hour)
}

func untils(functions []archive.Known) []time.Time {
	ends := make([]time.Time, len(functions))
	for i, f := range functions {
		ends[i] = until(f)
	}
	return ends
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// goesOn reports whether the order is one of run or once, which leave what cannot be read
// for a while. A backfill and Force ask for all of their range.
func goesOn(o archive.Order) bool { return !o.Force && (o.Older || o.Follow) }

// waitsAfter is the time after which the next question about a window must lie, so that
// the window waits.
func waitsAfter(o archive.Order, at time.Time) time.Time {
	if !goesOn(o) {
		return forever
	}
	return at
}

// dueAnswers are the answers of the statements of Due, by function.
type dueAnswers struct {
	missing       map[int32]dueWindows // to be read, in the range
	older         map[int32]dueWindows // open, before the range
	gap           map[int32]dueWindows // never planned, before the range
	resting       map[int32]bool       // empty for long: no windows are due
	rechecks      map[int32]bool       // records in flight are to be asked for again
	unverified    map[int32]bool       // windows are to be verified
	askedLately   map[int32]bool       // gone, and asked again within a day: no windows are due
	settingsAsked map[int32]bool       // within the last archive.SettingsEvery
}

// dueWindows are windows of one function.
type dueWindows struct {
	count          int       // to be read
	oldest, newest time.Time // of those to be read; zero if there are none
	waiting        int
}

// everyWindow are all windows of the span.
func everyWindow(s archive.Span) dueWindows {
	if n := s.Windows(); n > 0 {
		return dueWindows{count: n, oldest: s.From, newest: s.To.Add(-archive.Hour)}
	}
	return dueWindows{}
}

// and adds later windows.
func (w dueWindows) and(later dueWindows) dueWindows {
	sum := dueWindows{w.count + later.count, w.oldest, later.newest, w.waiting + later.waiting}
	if w.count == 0 {
		sum.oldest = later.oldest
	}
	if later.count == 0 {
		sum.newest = w.newest
	}
	return sum
}

// batch is the statements that the order needs. Sending the batch fills the answers.
func (a *dueAnswers) batch(functions []archive.Known, o archive.Order, at time.Time) *pgx.Batch {
	ids, from, to := functionIDs(functions), o.Range.From, o.Range.To
	var batch pgx.Batch
	if !o.Force {
		askedAgain := make([]bool, len(functions))
		for i, f := range functions {
			askedAgain[i] = !f.Gone.IsZero()
		}
		a.missing = queueWindows(&batch, selectMissing, pg.Args{
			"functions": ids, "until": untils(functions), "asked_again": askedAgain,
			"from": from, "to": to, "waits_after": waitsAfter(o, at),
		})
	}
	if o.Older {
		a.older = queueWindows(&batch, selectOlder, pg.Args{"functions": ids, "from": from, "waits_after": waitsAfter(o, at)})
	}
	if args := gapArgs(functions, o); args != nil {
		a.gap = queueWindows(&batch, `
			SELECT id, (EXTRACT(EPOCH FROM gap_to - gap_from) / 3600)::integer, gap_from, gap_to - interval '1 hour', 0
			  FROM (`+selectGap+`) AS gap`, args)
	}
	if o.Rest {
		a.resting = queueFunctions(&batch, selectResting, pg.Args{
			"functions": ids, "from": from, "to": to, "rest_at_most": archive.RestAtMost,
		})
	}
	switch {
	case o.Follow:
		a.rechecks = queueFunctions(&batch, selectRechecks, pg.Args{
			"functions": ids, "now": at, "max_life": longestLife(functions), "from": time.Time{}, "to": forever,
		})
	case o.FollowRange:
		a.rechecks = queueFunctions(&batch, selectRechecks, pg.Args{
			"functions": ids, "now": forever, "max_life": longestLife(functions), "from": from, "to": to,
		})
	}
	if by := verifyDue(o, at); by != nil {
		a.unverified = queueFunctions(&batch, selectUnverifiedFunctions, pg.Args{
			"functions": ids, "from": from, "to": to, "completed_by": by, "now": at,
		})
	}
	if goesOn(o) {
		a.askedLately = queueFunctions(&batch, selectAskedLately, pg.Args{"functions": ids, "now": at})
	}
	a.settingsAsked = queueFunctions(&batch, selectSettingsAsked, pg.Args{"functions": ids, "now": at, "every": archive.SettingsEvery})
	return &batch
}

func longestLife(functions []archive.Known) (longest time.Duration) {
	for _, f := range functions {
		longest = max(longest, lifeOf(f))
	}
	return longest
}

// gapArgs are the arguments of selectGap, or nil if the order does not look for hours that
// no run has planned.
func gapArgs(functions []archive.Known, o archive.Order) pg.Args {
	if !goesOn(o) || !o.Older || o.Compare || o.ForgottenBefore.IsZero() {
		return nil
	}
	return pg.Args{
		"functions": functionIDs(functions), "until": untils(functions),
		"forgotten": earlier(o.Range.From, archive.WindowOf(o.ForgottenBefore)), "rest_at_most": archive.RestAtMost,
	}
}

// queueWindows queues a statement that selects windows by function, and returns its
// answer, to be filled by the batch.
func queueWindows(batch *pgx.Batch, sql string, args pg.Args) map[int32]dueWindows {
	answer := make(map[int32]dueWindows)
	batch.Queue(sql, args).Query(func(rows pgx.Rows) error {
		var id int32
		var w dueWindows
		var oldest, newest *time.Time
		_, err := pgx.ForEachRow(rows, []any{&id, &w.count, &oldest, &newest, &w.waiting}, func() error {
			w.oldest, w.newest = pg.OrZero(oldest).UTC(), pg.OrZero(newest).UTC()
			answer[id] = w
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
// a window, the status shows it, and later runs read it. A window that ended before
// ForgottenBefore gets no row.
func (s *Store) Plan(ctx context.Context, due []archive.Due, o archive.Order) error {
	if o.Compare {
		return nil
	}
	var functions []archive.Known
	for _, d := range due {
		if d.Windows > 0 {
			functions = append(functions, d.Known)
		}
	}
	ids := functionIDs(functions)
	var batch pgx.Batch // one transaction
	batch.Queue(pg.LockWindows, ids)
	// Before the range is planned: then the gap is not known any more.
	if args := gapArgs(functions, o); args != nil {
		batch.Queue(`
			INSERT INTO windows AS w (function_id, window_start, planned)
			SELECT id, hour, true
			  FROM (`+selectGap+`) AS gap
			 CROSS JOIN generate_series(gap_from, gap_to - interval '1 hour', interval '1 hour') AS hour
			 ORDER BY id, hour
			    ON CONFLICT (function_id, window_start) DO UPDATE SET planned = true`, args)
	}
	from := archive.WindowOf(o.ForgottenBefore)
	if from.Before(o.Range.From) {
		from = o.Range.From
	}
	batch.Queue(insertPlanned, pg.Args{"functions": ids, "until": untils(functions), "from": from, "to": o.Range.To})
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("insert the windows of %d functions: %w", len(ids), err)
	}
	return nil
}
