// Package figures counts the records of each function by hour and by UTC day, with
// error codes and durations, so that a chart of a year reads no records.
//
// Every transaction that changes rows of invocations notes the functions and hours
// of these rows in hourly_figures_due. Count takes notes and counts the noted hours,
// one transaction for each day. A change that is committed after Count took the
// notes leaves new notes. So each figure equals its rows, or a note of its hour
// exists. A crash leaves the notes.
//
// When retention drops a day, FreezeDay counts the day once more and marks its
// figures as frozen. Afterwards an hour of the day is counted again only if it then
// has at least as many records as its figures say: a figure of a dropped day never
// becomes smaller. Records that were in flight when the day was dropped stay counted
// as in flight. If the day is read again, its hours count the new records once they
// are no fewer than before.
package figures

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// NoteDue notes the hours ($2, $3) as due. It stands before another statement, which
// uses $1: a statement of its own would cost each page more than the notes do.
const NoteDue = `
	WITH noted AS (
		INSERT INTO hourly_figures_due (function_id, window_start)
		SELECT * FROM unnest($2::integer[], $3::timestamptz[])
	)`

// Hours are functions and hours, by column.
type Hours struct {
	Functions []int32
	Windows   []time.Time
}

// atOnce is how many hours of functions are counted in one transaction, unless one day
// has more. Counting a day alone takes some 20 ms, however few its hours are.
const atOnce = 20_000

// A span is adjacent days: [from, to).
type span struct {
	from, to time.Time
	hours    int
}

func (s span) days() int { return int(s.to.Sub(s.from) / (24 * time.Hour)) }

// dueSpans are the days with hours that are due, the newest first: each alone, or
// adjacent days together.
func dueSpans(ctx context.Context, db *pg.DB, together bool) ([]span, error) {
	type dueDay struct {
		Day   time.Time
		Hours int
	}
	days, err := pg.Collect[dueDay](ctx, db.Pool, "days whose figures are due", `
		SELECT date_trunc('day', window_start, 'UTC') AS day, count(DISTINCT (function_id, window_start))
		  FROM hourly_figures_due
		 GROUP BY 1 ORDER BY 1 DESC`, pg.Args{})
	if err != nil {
		return nil, err
	}
	var spans []span
	for _, d := range days {
		next := span{d.Day.UTC(), d.Day.UTC().AddDate(0, 0, 1), d.Hours}
		if n := len(spans) - 1; together && n >= 0 && spans[n].from.Equal(next.to) && spans[n].hours+next.hours <= atOnce {
			spans[n].from, spans[n].hours = next.from, spans[n].hours+next.hours
		} else {
			spans = append(spans, next)
		}
	}
	return spans, nil
}

// Count counts all hours that were noted before the call, the newest days first. Days
// that fail are left to the next call. So are days that were not begun within the given
// time by the clock; 0 sets no limit.
func Count(ctx context.Context, db *pg.DB, clock archive.Clock, within time.Duration) error {
	return CountAndTell(ctx, db, clock, within, func(int, int) {})
}

// CountAndTell is Count, and tells after each step how many days have been counted, of
// how many.
func CountAndTell(ctx context.Context, db *pg.DB, clock archive.Clock, within time.Duration, tell func(done, days int)) error {
	began := clock.Now()
	spans, err := dueSpans(ctx, db, within == 0)
	if err != nil {
		return err
	}
	done, days := 0, 0
	for _, s := range spans {
		days += s.days()
	}
	var failed []error
	for _, s := range spans {
		if within > 0 && clock.Now().Sub(began) >= within {
			break
		}
		tell(done, days)
		err := pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, pg.FiguresLock); err != nil {
				return fmt.Errorf("wait for another process: %w", err)
			}
			return countDays(ctx, tx, s.from, s.to)
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("count the figures of %d days from %s: %w", s.days(), s.from.Format(time.DateOnly), err))
		}
		done += s.days()
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// FreezeDay counts the hours of the day that are due, and marks the figures of the
// day as frozen. The caller holds pg.FiguresLock, deletes the rows and windows of
// the day in the same transaction, and keeps commits out until it ends.
func FreezeDay(ctx context.Context, tx pgx.Tx, d time.Time) error {
	if err := countDays(ctx, tx, d, d.AddDate(0, 0, 1)); err != nil {
		return fmt.Errorf("count its figures: %w", err)
	}
	if _, err := tx.Exec(ctx, freeze, pg.Args{"from": d, "to": d.AddDate(0, 0, 1)}); err != nil {
		return fmt.Errorf("freeze its figures: %w", err)
	}
	return nil
}

var (
	//go:embed takenotes.sql
	takeNotes string
	//go:embed duerows.sql
	dueRows string
	//go:embed hours.sql
	hours string
	//go:embed errorcodes.sql
	errorCodes string
	//go:embed days.sql
	sumDays string
	//go:embed sources.sql
	sumSources string
	//go:embed freeze.sql
	freeze string
)

// countHours counts the rows of hours.
func countHours() string { return dueRows + hours }

// countErrorCodes counts the failed rows of hours by their code.
func countErrorCodes() string { return dueRows + errorCodes }

// planCounts keeps the planner from sorting all rows of days, twice, before
// statistics tell how many rows a new day has. One transaction counts at a time.
const planCounts = `SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off; SET LOCAL work_mem = '64MB'`

// fewFunctions is how many functions may be due for their rows to be selected by
// function: a day that was read function by function has an index that finds these
// rows. If more are due, all rows of the hours are read, because PostgreSQL 13
// compares each row with one function after the other.
const fewFunctions = 64

// countDays takes the notes of the days [from, to) and counts the hours that they name.
// The caller holds pg.FiguresLock.
func countDays(ctx context.Context, tx pgx.Tx, from, to time.Time) error {
	if _, err := tx.Exec(ctx, planCounts); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	type note struct {
		Function int32
		Window   time.Time
	}
	notes, err := pg.Collect[note](ctx, tx, "notes", takeNotes, pg.Args{"from": from, "to": to})
	if err != nil || len(notes) == 0 {
		return err
	}
	var due Hours
	for _, n := range notes {
		due.Functions, due.Windows = append(due.Functions, n.Function), append(due.Windows, n.Window)
	}
	functions := slices.Compact(slices.Sorted(slices.Values(due.Functions)))
	windows := slices.CompactFunc(slices.Clone(due.Windows), time.Time.Equal)
	rows := pg.Args{
		"functions": due.Functions, "windows": due.Windows,
		"from": windows[0], "to": windows[len(windows)-1].Add(archive.Hour), "few": []int32(nil),
	}
	if len(functions) <= fewFunctions {
		rows["few"] = functions
	}
	var batch pgx.Batch
	batch.Queue(countHours(), rows)
	batch.Queue(`
		DELETE FROM hourly_error_codes e
		 USING unnest($1::integer[], $2::timestamptz[]) AS n (function_id, window_start)
		 WHERE e.function_id = n.function_id AND e.window_start = n.window_start`, due.Functions, due.Windows)
	batch.Queue(countErrorCodes(), rows)
	batch.Queue(sumDays, pg.Args{"functions": due.Functions, "windows": due.Windows, "from": from, "to": to})
	batch.Queue(`
		DELETE FROM daily_figures
		 WHERE function_id = ANY ($1) AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date
		   AND day < ($3::timestamptz AT TIME ZONE 'UTC')::date AND records = 0 AND complete_hours IS NULL`, functions, from, to)
	batch.Queue(`DELETE FROM source_figures WHERE window_start = ANY ($1)`, windows)
	batch.Queue(sumSources, pg.Args{"windows": windows})
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("count %d hours: %w", len(due.Windows), err)
	}
	return nil
}
