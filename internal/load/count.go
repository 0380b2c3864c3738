package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// How far from a span a second without records is looked for: two minutes into
// a window that is complete, and else no farther than what was asked for
// together with the span.
const (
	quietWithin = 2 * time.Minute
	quietAlone  = time.Second
)

// Count is what the archive has between two seconds around the span in which
// it has nothing.
func (c *claim) Count(ctx context.Context, s archive.Span, byRows bool) (n archive.Counted, err error) {
	var before, after bool // the windows beside the span are complete
	err = c.store.pool.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM archiver_internal.windows WHERE function_id = $1 AND window_start = $2::timestamptz - interval '1 hour' AND state = 'complete'),
		       EXISTS (
			SELECT FROM archiver_internal.windows WHERE function_id = $1 AND window_start = $3 AND state = 'complete'),
		       (SELECT COALESCE(sum(CASE WHEN $4 THEN rejected ELSE records + rejected END), 0)
		          FROM archiver_internal.windows
		         WHERE function_id = $1 AND window_start >= $2 AND window_start < $3)
		     + CASE WHEN $4 THEN (
			SELECT count(*)
			  FROM invocations
			 WHERE function_id = $1
			   AND (start_time >= $2 AND start_time < $3
			        OR start_time IS NULL AND queried_window >= $2 AND queried_window < $3)) ELSE 0 END,
		       (SELECT strays FROM functions WHERE function_id = $1) OR EXISTS (
			SELECT FROM archiver_days.invocations_in_flight
			 WHERE function_id = $1
			   AND COALESCE(start_time, queried_window) >= $2 AND COALESCE(start_time, queried_window) < $3) OR EXISTS (
			SELECT FROM archiver_days.invocations_undated
			 WHERE function_id = $1 AND queried_window >= $2 AND queried_window < $3)`,
		c.function.ID, s.From, s.To, byRows).Scan(&before, &after, &n.Records, &n.Undated)
	if err != nil {
		return n, fmt.Errorf("count the records of %s: %w", s, err)
	}
	rows, err := c.store.pool.Query(ctx, `
		SELECT date_trunc('second', start_time) AS second, count(*)
		  FROM invocations
		 WHERE function_id = $1
		   AND (start_time >= $2 AND start_time < $3 OR start_time >= $4 AND start_time < $5)
		 GROUP BY second`,
		c.function.ID, s.From.Add(-quietWithin), s.From, s.To, s.To.Add(quietWithin))
	if err != nil {
		return n, fmt.Errorf("count the records around %s: %w", s, err)
	}
	around, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Second  time.Time
		Records int
	}])
	if err != nil {
		return n, fmt.Errorf("read the records around %s: %w", s, err)
	}
	busy := make(map[time.Time]int, len(around))
	for _, a := range around {
		busy[a.Second.UTC()] = a.Records
	}
	from, early, quietBefore := quiet(busy, s.From.Add(-time.Second), -time.Second, reach(before))
	to, late, quietAfter := quiet(busy, s.To, time.Second, reach(after)+time.Second)
	if quietBefore && quietAfter {
		n.From, n.To, n.Records, n.Quiet = from, to, n.Records+early+late, true
	} else {
		n.From, n.To = s.From, s.To.Add(-time.Second)
	}
	return n, nil
}

func reach(complete bool) time.Duration {
	if complete {
		return quietWithin
	}
	return quietAlone
}

// quiet goes in steps to the first second without records, and counts those on
// the way.
func quiet(busy map[time.Time]int, second time.Time, step, within time.Duration) (at time.Time, passed int, ok bool) {
	for range int(within / time.Second) {
		if busy[second] == 0 {
			return second, passed, true
		}
		passed += busy[second]
		second = second.Add(step)
	}
	return second, passed, false
}

// Recount sets what the span's windows say of their rows.
func (c *claim) Recount(ctx context.Context, s archive.Span) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH counted AS (
				SELECT date_trunc('hour', COALESCE(start_time, queried_window), 'UTC') AS window_start,
				       count(*) AS records,
				       count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS pending
				  FROM invocations
				 WHERE function_id = $1
				   AND (start_time >= $2 AND start_time < $3
				        OR start_time IS NULL AND queried_window >= $2 AND queried_window < $3)
				 GROUP BY 1
			)
			UPDATE archiver_internal.windows w
			   SET records = COALESCE(c.records, 0), pending = COALESCE(c.pending, 0)
			  FROM archiver_internal.windows o
			  LEFT JOIN counted c USING (window_start)
			 WHERE w.function_id = $1 AND w.window_start >= $2 AND w.window_start < $3
			   AND o.function_id = w.function_id AND o.window_start = w.window_start
			   AND (w.records, w.pending) IS DISTINCT FROM (COALESCE(c.records, 0), COALESCE(c.pending, 0))`,
			c.function.ID, s.From, s.To)
		if err != nil {
			return fmt.Errorf("update the windows of %s: %w", s, err)
		}
		return nil
	})
}

// Missing is how many of a page of the span the archive does not have, under
// this function or another one.
func (c *claim) Missing(ctx context.Context, s archive.Span, page []archive.Invocation) (n int, err error) {
	w := &write{
		claim: &claim{sawForeignRows: true}, // looks every id up everywhere
		batch: &archive.Batch{Invocations: page, Walk: archive.Walk{Span: s}},
	}
	var batch pgx.Batch
	found := make(existingRows)
	queueLookups(&batch, []*write{w}, found)
	if err := c.store.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return 0, fmt.Errorf("look up %d request ids: %w", len(page), err)
	}
	for i := range page {
		if len(found[page[i].RequestID]) == 0 {
			n++
		}
	}
	return n, nil
}
