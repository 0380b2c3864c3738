// Package figures counts what the rows of an hour, and of a day, amount to.
//
// Figures are what the rows of an hour amount to: see migrations/00001_schema.sql.
//
// Whatever changes rows notes their functions and hours in hourly_figures_due, in
// the same transaction. Count takes notes and counts what they name, in
// one transaction for each day. A change that is committed later than the notes
// were taken leaves its own, so that a figure is either of the rows as they are,
// or due. A crash leaves the notes.
//
// A day that retention drops is counted to its end in the transaction that
// empties it. From then on its figures are all that is left of it, and stand:
// to them are added the records that were in flight then, as they settle or move.
// Rows that come anew, because somebody reads the day again, replace them as soon
// as they are no fewer.
//
// The one transaction that counts holds pg.FiguresLock.
package figures

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// NoteDue goes before another statement, whose $1 is its own: one more would cost
// each page more than the notes do.
const NoteDue = `
	WITH noted AS (
		INSERT INTO archiver_internal.hourly_figures_due (function_id, window_start)
		SELECT * FROM unnest($2::integer[], $3::timestamptz[])
	)`

// Hours are functions and hours, by column.
type Hours struct {
	Functions []int32
	Windows   []time.Time
}

// Count brings the figures up to what was committed before it was called,
// the newest day first. What fails is left to the next one, and so are the days
// that are not begun within a time by the clock, zero for any.
func Count(ctx context.Context, db *pg.DB, clock archive.Clock, within time.Duration) error {
	began := clock.Now()
	rows, err := db.Pool.Query(ctx, `
		SELECT DISTINCT date_trunc('day', window_start, 'UTC') AS day
		  FROM archiver_internal.hourly_figures_due
		 ORDER BY day DESC`)
	if err != nil {
		return fmt.Errorf("select days whose figures are due: %w", err)
	}
	days, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return fmt.Errorf("read days whose figures are due: %w", err)
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
			return CountDay(ctx, tx, d.UTC().Truncate(24*time.Hour))
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

// PlanCounts keeps a planner that does not know yet how many rows a new day has
// from sorting them all, twice. One transaction counts at a time.
const PlanCounts = `SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off; SET LOCAL work_mem = '64MB'`

// CountDay takes the day's notes and counts the hours that they name. The caller
// holds pg.FiguresLock.
func CountDay(ctx context.Context, tx pgx.Tx, d time.Time) error {
	to := d.AddDate(0, 0, 1)
	if _, err := tx.Exec(ctx, PlanCounts); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	rows, err := tx.Query(ctx, `
		WITH taken AS (
			DELETE FROM archiver_internal.hourly_figures_due
			 WHERE window_start >= $1 AND window_start < $2
			RETURNING function_id, window_start
		)
		SELECT DISTINCT function_id, window_start
		  FROM taken
		 ORDER BY window_start, function_id`, d, to)
	if err != nil {
		return fmt.Errorf("take notes: %w", err)
	}
	taken, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Function int32
		Window   time.Time
	}])
	if err != nil {
		return fmt.Errorf("take notes: %w", err)
	}
	var due Hours
	for _, n := range taken {
		due.Functions, due.Windows = append(due.Functions, n.Function), append(due.Windows, n.Window)
	}
	if len(due.Functions) == 0 {
		return nil
	}
	functions := slices.Compact(slices.Sorted(slices.Values(due.Functions)))
	windows := slices.CompactFunc(slices.Clone(due.Windows), time.Time.Equal)
	from, until := windows[0], windows[len(windows)-1].Add(archive.Hour)
	var batch pgx.Batch
	batch.Queue(keepDropped, due.Functions, due.Windows)
	batch.Queue(replaceDropped, due.Functions, due.Windows)
	of, named := "", []any{due.Functions, due.Windows, from, until}
	if len(functions) <= FewFunctions {
		of, named = OfFunctions, append(named, functions)
	}
	batch.Queue(CountHours(of), named...)
	batch.Queue(`
		DELETE FROM archiver_internal.hourly_error_codes e
		 USING unnest($1::integer[], $2::timestamptz[]) AS n (function_id, window_start)
		 WHERE e.function_id = n.function_id AND e.window_start = n.window_start AND NOT e.dropped`, due.Functions, due.Windows)
	batch.Queue(CountErrorCodes(of), named...)
	batch.Queue(sumDay, functions, d, to)
	batch.Queue(`DELETE FROM archiver_internal.daily_figures WHERE function_id = ANY ($1) AND day = ($2::timestamptz AT TIME ZONE 'UTC')::date AND records = 0 AND complete_hours IS NULL`, functions, d)
	batch.Queue(`DELETE FROM archiver_internal.source_figures WHERE window_start = ANY ($1)`, windows)
	batch.Queue(sumSources, windows)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("count %d hours: %w", len(due.Windows), err)
	}
	return nil
}

// FewFunctions is how many the notes of a day may name for their rows to be looked
// for by function. Of more, each row of the hours is read: PostgreSQL 13 compares
// it with one function after the other.
const FewFunctions = 64

// OfFunctions goes with dueRows where the notes name few, $5: a day that was read
// function by function has their rows together, and an index that says where.
const OfFunctions = ` AND function_id = ANY ($5)`

// dueRows are the rows of the hours, $1 and $2, all of them within $3 and $4. Of
// hours that were dropped they are those that were there then.
//
// Each row is looked up in a hash of the hours, and in one of those dropped:
// IS TRUE sees to that, and keeps an index out. That is what of is for.
func dueRows(of string) string {
	return `
	SELECT r.*
	  FROM (
		SELECT function_id, date_trunc('hour', start_time, 'UTC') AS window_start, start_time, end_time,
		       first_archived_at, request_id, status, error_code, error_message
		  FROM archiver_days.invocations_dated
		 WHERE start_time >= $3 AND start_time < $4` + of + `
		UNION ALL
		SELECT function_id, queried_window, start_time, end_time,
		       first_archived_at, request_id, status, error_code, error_message
		  FROM archiver_days.invocations_undated
		 WHERE queried_window >= $3 AND queried_window < $4` + of + `
		UNION ALL
		SELECT function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC'), start_time, end_time,
		       first_archived_at, request_id, status, error_code, error_message
		  FROM archiver_days.invocations_in_flight
		 WHERE COALESCE(start_time, queried_window) >= $3 AND COALESCE(start_time, queried_window) < $4` + of + `) AS r
	 WHERE ((function_id, window_start) IN (
			SELECT * FROM unnest($1::integer[], $2::timestamptz[]))) IS TRUE
	   AND (((function_id, window_start) IN (
			SELECT function_id, window_start FROM archiver_internal.hourly_figures_dropped)) IS NOT TRUE
	        OR first_archived_at <= (
			SELECT dropped_to
			  FROM archiver_internal.hourly_figures_dropped d
			 WHERE d.function_id = r.function_id AND d.window_start = r.window_start))`
}

// CountHours counts the rows of hours, and adds what was dropped of them.
// Durations are those of settled records: what was dropped has no others.
func CountHours(of string) string {
	return `
	WITH noted AS (
		SELECT * FROM unnest($1::integer[], $2::timestamptz[]) AS n (function_id, window_start)
	), timed AS (
		SELECT r.function_id, r.window_start, r.status,
		       CASE WHEN r.status IN ('WAIT', 'RUNNING') THEN NULL
		            WHEN r.end_time < r.start_time THEN 0
		            ELSE date_part('epoch', r.end_time - r.start_time) END AS seconds
		  FROM (` + dueRows(of) + `) AS r
	), by_bucket AS (
		SELECT function_id, window_start, archiver_internal.duration_bucket(seconds) AS bucket,
		       count(*) AS records,
		       count(*) FILTER (WHERE status = 'SUCCESS') AS success,
		       count(*) FILTER (WHERE status = 'FAIL') AS fail,
		       count(*) FILTER (WHERE status = 'DISCARD') AS discard,
		       count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS in_flight,
		       count(seconds) AS timed, sum(seconds) AS total_seconds, max(seconds) AS max_seconds
		  FROM timed
		 GROUP BY function_id, window_start, bucket
	), counted AS (
		SELECT function_id, window_start,
		       sum(records) AS records, sum(success) AS success, sum(fail) AS fail, sum(discard) AS discard,
		       sum(in_flight) AS in_flight, sum(records - success - fail - discard - in_flight) AS other,
		       sum(timed) AS timed, sum(total_seconds) AS total_seconds, max(max_seconds) AS max_seconds,
		       archiver_internal.histogram_of(array_agg(bucket) FILTER (WHERE bucket IS NOT NULL),
		                    array_agg(timed) FILTER (WHERE bucket IS NOT NULL)) AS histogram
		  FROM by_bucket
		 GROUP BY function_id, window_start
	), made AS (
		SELECT function_id, window_start,
		       COALESCE(c.records, 0) + COALESCE(d.records, 0) AS records,
		       COALESCE(c.success, 0) + COALESCE(d.success, 0) AS success,
		       COALESCE(c.fail, 0) + COALESCE(d.fail, 0) AS fail,
		       COALESCE(c.discard, 0) + COALESCE(d.discard, 0) AS discard,
		       COALESCE(c.in_flight, 0) AS in_flight,
		       COALESCE(c.other, 0) + COALESCE(d.other, 0) AS other,
		       COALESCE(c.timed, 0) + COALESCE(d.timed, 0) AS timed,
		       COALESCE(c.total_seconds, 0) + COALESCE(d.total_seconds, 0) AS total_seconds,
		       GREATEST(c.max_seconds, d.max_seconds) AS max_seconds,
		       COALESCE(archiver_internal.histogram_add(c.histogram, d.histogram), c.histogram, d.histogram)::integer[] AS histogram,
		       d.dropped_to
		  FROM noted n
		  LEFT JOIN counted c USING (function_id, window_start)
		  LEFT JOIN archiver_internal.hourly_figures_dropped d USING (function_id, window_start)
		 WHERE c.records > 0 OR d.dropped_to IS NOT NULL
	), emptied AS (
		DELETE FROM archiver_internal.hourly_figures h
		 USING noted n
		 WHERE h.function_id = n.function_id AND h.window_start = n.window_start
		   AND NOT EXISTS (SELECT FROM made m WHERE m.function_id = n.function_id AND m.window_start = n.window_start)
	)
	INSERT INTO archiver_internal.hourly_figures (
		function_id, window_start, records, success, fail, discard, in_flight, other,
		timed, total_seconds, max_seconds, histogram, dropped_to)
	SELECT function_id, window_start, records, success, fail, discard, in_flight, other,
	       timed, total_seconds, max_seconds, histogram, dropped_to
	  FROM made
	    ON CONFLICT (function_id, window_start) DO UPDATE
	   SET records = EXCLUDED.records, success = EXCLUDED.success, fail = EXCLUDED.fail,
	       discard = EXCLUDED.discard, in_flight = EXCLUDED.in_flight, other = EXCLUDED.other,
	       timed = EXCLUDED.timed, total_seconds = EXCLUDED.total_seconds, max_seconds = EXCLUDED.max_seconds,
	       histogram = EXCLUDED.histogram, dropped_to = EXCLUDED.dropped_to`
}

// CountErrorCodes counts the codes of failures. A code or a
// message may be of any length: a key may not.
func CountErrorCodes(of string) string {
	return `
	INSERT INTO archiver_internal.hourly_error_codes (function_id, window_start, error_code, records, first_seen, last_seen, sample_message)
	SELECT DISTINCT ON (function_id, window_start, error_code)
	       function_id, window_start, error_code,
	       count(*) OVER code, min(seen) OVER code, max(seen) OVER code, message
	  FROM (
		SELECT r.function_id, r.window_start, left(COALESCE(r.error_code, ''), 200) AS error_code,
		       COALESCE(r.start_time, r.window_start) AS seen, left(r.error_message, 500) AS message, r.request_id
		  FROM (` + dueRows(of) + `) AS r
		 WHERE r.status IN ('FAIL', 'DISCARD')) AS f
	WINDOW code AS (PARTITION BY function_id, window_start, error_code)
	 ORDER BY function_id, window_start, error_code, message IS NULL, seen DESC, request_id`
}

// sums are those of rows like hourly_figures, but for records.
const sums = `
	COALESCE(sum(h.success), 0), COALESCE(sum(h.fail), 0), COALESCE(sum(h.discard), 0),
	COALESCE(sum(h.in_flight), 0), COALESCE(sum(h.other), 0), COALESCE(sum(h.timed), 0),
	COALESCE(sum(h.total_seconds), 0), max(h.max_seconds), histogram_sum(h.histogram)::integer[]`

// sumDay sums a day's hours for each function.
const sumDay = `
	INSERT INTO archiver_internal.daily_figures (
		function_id, day, records, success, fail, discard, in_flight, other,
		timed, total_seconds, max_seconds, histogram)
	SELECT f.function_id, ($2::timestamptz AT TIME ZONE 'UTC')::date, COALESCE(sum(h.records), 0), ` + sums + `
	  FROM unnest($1::integer[]) AS f (function_id)
	  LEFT JOIN archiver_internal.hourly_figures h
	    ON h.function_id = f.function_id AND h.window_start >= $2 AND h.window_start < $3
	 GROUP BY f.function_id
	    ON CONFLICT (function_id, day) DO UPDATE
	   SET records = EXCLUDED.records, success = EXCLUDED.success, fail = EXCLUDED.fail,
	       discard = EXCLUDED.discard, in_flight = EXCLUDED.in_flight, other = EXCLUDED.other,
	       timed = EXCLUDED.timed, total_seconds = EXCLUDED.total_seconds, max_seconds = EXCLUDED.max_seconds,
	       histogram = EXCLUDED.histogram`

// sumSources sums the functions of each source for each of the hours.
const sumSources = `
	INSERT INTO archiver_internal.source_figures (
		provider, region, project_id, window_start, functions, records, success, fail, discard, in_flight, other,
		timed, total_seconds, max_seconds, histogram)
	SELECT f.provider, f.region, f.project_id, h.window_start, count(*), sum(h.records), ` + sums + `
	  FROM archiver_internal.hourly_figures h
	  JOIN functions f USING (function_id)
	 WHERE h.window_start = ANY ($1)
	 GROUP BY f.provider, f.region, f.project_id, h.window_start`
