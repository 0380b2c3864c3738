package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// A windowKey is a row of windows.
type windowKey struct {
	functionID int32
	start      time.Time
}

// A windowChange is what a commit does to one window: how many rows more it
// has, and, where state is set, what became of reading it.
type windowChange struct {
	records, pending, rejected int
	state                      archive.State
	sourceCount                *int
	attempts                   int
	err                        string
	completed                  time.Time
	at                         time.Time
	recount                    bool // rows of it came, went or changed: its figures are due
}

// changes reports whether there is anything to write.
func (c *windowChange) changes() bool {
	return c.records != 0 || c.pending != 0 || c.rejected != 0 || c.state != ""
}

// windowChanges collects them, so that each window is written once a commit.
type windowChanges struct {
	of map[windowKey]*windowChange

	// The one noted last: rows of one window come together.
	key  windowKey
	last *windowChange
}

func (w *windowChanges) at(functionID int32, start, at time.Time) *windowChange {
	key := windowKey{functionID, start}
	if w.last != nil && w.key == key {
		return w.last
	}
	key.start = start.UTC()
	if w.of == nil {
		w.of = make(map[windowKey]*windowChange)
	}
	if w.of[key] == nil {
		w.of[key] = &windowChange{at: at}
	}
	w.key, w.last = key, w.of[key]
	return w.last
}

// add notes rows that came to a window, or left it.
func (w *windowChanges) add(functionID int32, start, at time.Time, records, pending int) {
	c := w.at(functionID, start, at)
	c.records += records
	c.pending += pending
	c.recount = true
}

// begin notes that a walk of the span has begun.
func (w *windowChanges) begin(functionID int32, s archive.Span, at time.Time) {
	for hour := s.From; hour.Before(s.To); hour = hour.Add(archive.Hour) {
		w.at(functionID, hour, at).state = archive.StatePartial
	}
}

// decide notes how reading the span ended.
func (w *windowChanges) decide(functionID int32, s archive.Span, o archive.Outcome, at time.Time) {
	for hour := s.From; hour.Before(s.To); hour = hour.Add(archive.Hour) {
		c := w.at(functionID, hour, at)
		c.state, c.err, c.attempts = o.State, pg.Storable(o.Err), 1
		if o.State == archive.StateComplete {
			c.completed = at
		}
		if o.Counts != nil {
			n := o.Counts[hour]
			c.sourceCount = &n
		}
	}
}

func (w *windowChanges) starts() []time.Time {
	starts := make([]time.Time, 0, len(w.of))
	for key := range w.of {
		starts = append(starts, key.start)
	}
	return starts
}

// decides is where an upsert says how reading a window went. To begin reading
// one again that is complete takes nothing back.
const decides = `EXCLUDED.planned AND NOT (w.state = 'complete' AND EXCLUDED.state = 'partial')`

// queue upserts the windows, in the order of their keys. A window found by
// chance, without a state, is not planned: no run reads it for that. One that
// has records in flight now is asked for them again later. One that was complete
// before was so since then; one that is completed anew is to be verified anew.
//
// A walk that resumed does not know the source's count a window, but its total
// agreed: what the archive has of a window that it completes is that count.
func (w *windowChanges) queue(batch *pgx.Batch) {
	var counted, uncounted []windowKey
	for key, c := range w.of {
		switch {
		case !c.changes():
		case c.state == archive.StateComplete && c.sourceCount == nil:
			uncounted = append(uncounted, key)
		default:
			counted = append(counted, key)
		}
	}
	w.upsert(batch, counted, false)
	w.upsert(batch, uncounted, true)
}

func (w *windowChanges) upsert(batch *pgx.Batch, keys []windowKey, uncounted bool) {
	if len(keys) == 0 {
		return
	}
	slices.SortFunc(keys, func(a, b windowKey) int {
		return cmp.Or(cmp.Compare(a.functionID, b.functionID), a.start.Compare(b.start))
	})
	n := len(keys)
	functions, starts := make([]int32, n), make([]time.Time, n)
	records, pending, rejected := make([]int32, n), make([]int32, n), make([]int32, n)
	states, errs := make([]*string, n), make([]*string, n)
	counts, attempts, completed := make([]*int, n), make([]int32, n), make([]*time.Time, n)
	rechecks := make([]time.Time, n)
	for i, key := range keys {
		c := w.of[key]
		functions[i], starts[i] = key.functionID, key.start
		records[i], pending[i], rejected[i] = int32(c.records), int32(c.pending), int32(c.rejected)
		if c.state != "" {
			states[i] = (*string)(&c.state)
		}
		if c.err != "" {
			errs[i] = &c.err
		}
		if !c.completed.IsZero() {
			completed[i] = &c.completed
		}
		counts[i], attempts[i] = c.sourceCount, int32(c.attempts)
		rechecks[i] = c.at.Add(archive.FirstRecheck)
	}
	batch.Queue(`
		INSERT INTO archiver_internal.windows AS w (
			function_id, window_start, state, planned, records, pending, rejected,
			source_count, attempts, last_error, completed_at, recheck_at)
		SELECT n.function_id, n.window_start, COALESCE(n.state, 'pending'), n.state IS NOT NULL,
		       n.records, n.pending, n.rejected,
		       CASE WHEN n.state = 'complete' THEN COALESCE(n.source_count, n.records + n.rejected) ELSE n.source_count END,
		       n.attempts, n.last_error, n.completed_at,
		       CASE WHEN n.pending > 0 THEN n.recheck_at END
		  FROM unnest($1::integer[], $2::timestamptz[], $3::text[], $4::integer[], $5::integer[], $6::integer[],
		              $7::integer[], $8::integer[], $9::text[], $10::timestamptz[], $11::timestamptz[])
		    AS n (function_id, window_start, state, records, pending, rejected,
		          source_count, attempts, last_error, completed_at, recheck_at)
		    ON CONFLICT (function_id, window_start) DO UPDATE
		   SET records  = w.records + EXCLUDED.records,
		       pending  = w.pending + EXCLUDED.pending,
		       rejected = w.rejected + EXCLUDED.rejected,
		       attempts = w.attempts + EXCLUDED.attempts,
		       planned  = w.planned OR EXCLUDED.planned,
		       state        = CASE WHEN `+decides+` THEN EXCLUDED.state ELSE w.state END,
		       last_error   = CASE WHEN `+decides+` THEN EXCLUDED.last_error ELSE w.last_error END,
		       completed_at = CASE WHEN `+decides+` AND NOT (w.state = 'complete' AND EXCLUDED.state = 'complete')
		                           THEN EXCLUDED.completed_at ELSE w.completed_at END,
		       verified_at  = CASE WHEN `+decides+` AND NOT (w.state = 'complete' AND EXCLUDED.state = 'complete')
		                           THEN NULL ELSE w.verified_at END,
		       rechecks     = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN w.rechecks ELSE 0 END,
		       recheck_at   = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN COALESCE(w.recheck_at, EXCLUDED.recheck_at) END,
		       source_count = CASE WHEN `+decides+` THEN
			       CASE WHEN EXCLUDED.state = 'complete' AND $12
			            THEN w.records + w.rejected + EXCLUDED.records + EXCLUDED.rejected
			            ELSE EXCLUDED.source_count END
			       ELSE w.source_count END`,
		functions, starts, states, records, pending, rejected, counts, attempts, errs, completed, rechecks, uncounted)
}

// write upserts the windows by themselves.
func (w *windowChanges) write(ctx context.Context, tx pgx.Tx) error {
	var batch pgx.Batch
	w.queue(&batch)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("upsert %d windows: %w", len(w.of), err)
	}
	return nil
}

// due are the windows whose rows have changed.
func (w *windowChanges) due() (due figures.Hours) {
	for key, c := range w.of {
		if c.recount {
			due.Functions, due.Windows = append(due.Functions, key.functionID), append(due.Windows, key.start)
		}
	}
	return due
}
