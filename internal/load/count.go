package load

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// Count looks for a second without records next to the span. If the window next to
// the span is complete, it looks quietWithin far into the window; if not, only at the
// next second, which the source was asked for together with the span.
const (
	quietWithin = 2 * time.Minute
	quietAlone  = time.Second
)

var (
	//go:embed count.sql
	countSpan string
	//go:embed recount.sql
	recountWindows string
)

// Count counts the archive's records between the last second before the span and the
// first second after it in which the archive has no record: see archive.Counted.
func (c *claim) Count(ctx context.Context, s archive.Span, byRows bool) (n archive.Counted, err error) {
	var before, after bool // the windows next to the span are complete
	err = c.store.pool.QueryRow(ctx, countSpan, pg.Args{
		"function": c.function.ID, "from": s.From, "to": s.To, "by_rows": byRows,
	}).Scan(&before, &after, &n.Records, &n.Undated)
	if err != nil {
		return n, fmt.Errorf("count the records of %s: %w", s, err)
	}
	type second struct {
		At      time.Time
		Records int
	}
	around, err := pg.Collect[second](ctx, c.store.pool, "the records around "+s.String(), `
		SELECT date_trunc('second', start_time) AS second, count(*)
		  FROM invocations
		 WHERE function_id = $1
		   AND (start_time >= $2 AND start_time < $3 OR start_time >= $4 AND start_time < $5)
		 GROUP BY second`,
		c.function.ID, s.From.Add(-quietWithin), s.From, s.To, s.To.Add(quietWithin+time.Second))
	if err != nil {
		return n, err
	}
	busy := make(map[time.Time]int, len(around))
	for _, a := range around {
		busy[a.At.UTC()] = a.Records
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

// quiet goes in steps to the first second without records, and counts the records of
// the seconds before.
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

// Recount sets records and pending of the span's windows to what their rows amount to,
// in case someone else has changed rows.
func (c *claim) Recount(ctx context.Context, s archive.Span) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, recountWindows, pg.Args{"function": c.function.ID, "from": s.From, "to": s.To})
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
		claim: &claim{sawForeignRows: true, known: knownRows{life: c.known.life}}, // looks every id up everywhere
		batch: &archive.Batch{Invocations: page, Walk: archive.Walk{Span: s}},
	}
	w.batch.Invocations = plausible(w.batch)
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
