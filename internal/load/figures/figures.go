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

// Count counts all hours that were noted before the call, the newest day first. A
// day that fails is left to the next call. So are days that were not begun within
// the given time by the clock; 0 sets no limit.
func Count(ctx context.Context, db *pg.DB, clock archive.Clock, within time.Duration) error {
	began := clock.Now()
	days, err := pg.CollectBy(ctx, db.Pool, pgx.RowTo[time.Time], "days whose figures are due", `
		SELECT DISTINCT date_trunc('day', window_start, 'UTC') AS day
		  FROM hourly_figures_due
		 ORDER BY day DESC`)
	if err != nil {
		return err
	}
	var failed []error
	for _, d := range days {
		if within > 0 && clock.Now().Sub(began) >= within {
			break
		}
		err := pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, pg.FiguresLock); err != nil {
				return fmt.Errorf("wait for another process: %w", err)
			}
			return countDay(ctx, tx, d.UTC())
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("count the figures of %s: %w", d.UTC().Format(time.DateOnly), err))
		}
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
	if err := countDay(ctx, tx, d); err != nil {
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

// planCounts keeps the planner from sorting all rows of a day, twice, before
// statistics tell how many rows a new day has. One transaction counts at a time.
const planCounts = `SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off; SET LOCAL work_mem = '64MB'`

// fewFunctions is how many functions may be due for their rows to be selected by
// function: a day that was read function by function has an index that finds these
// rows. If more are due, all rows of the hours are read, because PostgreSQL 13
// compares each row with one function after the other.
const fewFunctions = 64

// countDay takes the notes of the day and counts the hours that they name. The
// caller holds pg.FiguresLock.
func countDay(ctx context.Context, tx pgx.Tx, d time.Time) error {
	to := d.AddDate(0, 0, 1)
	if _, err := tx.Exec(ctx, planCounts); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	type note struct {
		Function int32
		Window   time.Time
	}
	notes, err := pg.Collect[note](ctx, tx, "notes", takeNotes, pg.Args{"from": d, "to": to})
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
	batch.Queue(sumDays, pg.Args{"functions": functions, "from": d, "to": to})
	batch.Queue(`
		DELETE FROM daily_figures
		 WHERE function_id = ANY ($1) AND day = ($2::timestamptz AT TIME ZONE 'UTC')::date AND records = 0 AND complete_hours IS NULL`, functions, d)
	batch.Queue(`DELETE FROM source_figures WHERE window_start = ANY ($1)`, windows)
	batch.Queue(sumSources, pg.Args{"windows": windows})
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("count %d hours: %w", len(due.Windows), err)
	}
	return nil
}
