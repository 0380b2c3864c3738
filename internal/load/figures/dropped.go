package figures

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// keepDropped sets aside what was dropped of hours to which rows have come since:
// all that their figures say, but for what was in flight, which stayed.
const keepDropped = `
	INSERT INTO archiver_internal.hourly_figures_dropped (
		function_id, window_start, records, success, fail, discard, in_flight, other,
		timed, total_seconds, max_seconds, histogram, dropped_to)
	SELECT h.function_id, h.window_start, h.records - h.in_flight, h.success, h.fail, h.discard, 0, h.other,
	       h.timed, h.total_seconds, h.max_seconds, h.histogram, h.dropped_to
	  FROM unnest($1::integer[], $2::timestamptz[]) AS n (function_id, window_start)
	  JOIN archiver_internal.hourly_figures h USING (function_id, window_start)
	 WHERE h.dropped_to IS NOT NULL
	    ON CONFLICT (function_id, window_start) DO NOTHING`

// replaceDropped forgets what was dropped of hours of which no fewer rows have
// come anew.
const replaceDropped = `
	WITH replaced AS (
		DELETE FROM archiver_internal.hourly_figures_dropped d
		 USING unnest($1::integer[], $2::timestamptz[]) AS n (function_id, window_start)
		 WHERE d.function_id = n.function_id AND d.window_start = n.window_start
		   AND d.records <= (
			SELECT count(*)
			  FROM invocations i
			 WHERE i.function_id = n.function_id AND i.first_archived_at > d.dropped_to
			   AND (i.start_time >= n.window_start AND i.start_time < n.window_start + interval '1 hour'
			        OR i.start_time IS NULL AND i.queried_window = n.window_start))
		RETURNING d.function_id, d.window_start
	)
	DELETE FROM archiver_internal.hourly_error_codes e
	 USING replaced r
	 WHERE e.function_id = r.function_id AND e.window_start = r.window_start AND e.dropped`

// DropDay says of a day's figures that they are what is left of it. It is
// called when all of them are counted, before its windows are deleted; no commit
// is under way.
//
// What was archived first before the source was last asked for its functions, or
// is in flight, was there when the day was dropped. What is read again later was not.
func DropDay(ctx context.Context, tx pgx.Tx, d time.Time) error {
	to := d.AddDate(0, 0, 1)
	var batch pgx.Batch
	batch.Queue(`DELETE FROM archiver_internal.hourly_figures_dropped WHERE window_start >= $1 AND window_start < $2`, d, to)
	batch.Queue(`
		UPDATE archiver_internal.hourly_figures
		   SET dropped_to = GREATEST((SELECT max(last_seen) FROM functions), (SELECT max(first_archived_at) FROM archiver_days.invocations_in_flight))
		 WHERE window_start >= $1 AND window_start < $2`, d, to)
	batch.Queue(`
		WITH counted AS (
			DELETE FROM archiver_internal.hourly_error_codes
			 WHERE window_start >= $1 AND window_start < $2 AND NOT dropped
			RETURNING *
		)
		INSERT INTO archiver_internal.hourly_error_codes AS e (
			function_id, window_start, error_code, dropped, records, first_seen, last_seen, sample_message)
		SELECT function_id, window_start, error_code, true, records, first_seen, last_seen, sample_message
		  FROM counted
		    ON CONFLICT (function_id, window_start, error_code, dropped) DO UPDATE
		   SET records = e.records + EXCLUDED.records,
		       first_seen = LEAST(e.first_seen, EXCLUDED.first_seen),
		       last_seen = GREATEST(e.last_seen, EXCLUDED.last_seen),
		       sample_message = COALESCE(EXCLUDED.sample_message, e.sample_message)`, d, to)
	batch.Queue(`
		INSERT INTO archiver_internal.daily_figures AS f (
			function_id, day, records, success, fail, discard, in_flight, other, complete_hours)
		SELECT function_id, ($1::timestamptz AT TIME ZONE 'UTC')::date, 0, 0, 0, 0, 0, 0, count(*)
		  FROM archiver_internal.window_states
		 WHERE function_id = ANY (ARRAY (SELECT function_id FROM functions))
		   AND window_start >= $1 AND window_start < $2 AND state = 'complete'
		 GROUP BY function_id
		    ON CONFLICT (function_id, day) DO UPDATE
		   SET complete_hours = GREATEST(f.complete_hours, EXCLUDED.complete_hours)`, d, to)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("keep its figures: %w", err)
	}
	return nil
}
