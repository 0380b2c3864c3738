package load

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
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
}

// windowChanges collects them, so that each window is written once a commit.
type windowChanges struct {
	of map[windowKey]*windowChange
}

func (w *windowChanges) at(functionID int32, start time.Time) *windowChange {
	if w.of == nil {
		w.of = make(map[windowKey]*windowChange)
	}
	key := windowKey{functionID, start.UTC()}
	if w.of[key] == nil {
		w.of[key] = &windowChange{}
	}
	return w.of[key]
}

// add notes rows that came to a window, or left it.
func (w *windowChanges) add(functionID int32, start time.Time, records, pending int) {
	c := w.at(functionID, start)
	c.records += records
	c.pending += pending
}

// begin notes that a walk of the span has begun.
func (w *windowChanges) begin(functionID int32, s archive.Span) {
	for hour := s.From; hour.Before(s.To); hour = hour.Add(archive.Hour) {
		w.at(functionID, hour).state = archive.StatePartial
	}
}

// decide notes how reading the span ended.
func (w *windowChanges) decide(functionID int32, s archive.Span, o archive.Outcome, at time.Time) {
	for hour := s.From; hour.Before(s.To); hour = hour.Add(archive.Hour) {
		c := w.at(functionID, hour)
		c.state, c.err, c.attempts = o.State, storable(o.Err), 1
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

// severalLock is held by whoever writes windows of several functions, few as
// they are: of two, one could take the totals of functions in another order
// than the other, and both wait (see migrations/00003_totals.sql). It is taken
// before the first window is.
const (
	severalLock = 0x6172636877696e73 // "archwins"
	lockSeveral = `SELECT pg_advisory_xact_lock($1)`
)

// write upserts the windows, in the order of their keys. A window found by
// chance, without a state, is not planned: no run reads it for that. One that
// has records in flight now is asked for them again later, and one that is
// completed anew is to be verified anew.
func (w *windowChanges) write(ctx context.Context, tx pgx.Tx, at time.Time) error {
	keys := make([]windowKey, 0, len(w.of))
	for key, c := range w.of {
		if *c != (windowChange{}) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, func(a, b windowKey) int {
		if a.functionID != b.functionID {
			return int(a.functionID) - int(b.functionID)
		}
		return a.start.Compare(b.start)
	})
	n := len(keys)
	if keys[0].functionID != keys[n-1].functionID {
		if _, err := tx.Exec(ctx, lockSeveral, int64(severalLock)); err != nil {
			return fmt.Errorf("wait for other writers of several functions: %w", err)
		}
	}
	functions, starts := make([]int32, n), make([]time.Time, n)
	records, pending, rejected := make([]int32, n), make([]int32, n), make([]int32, n)
	states, errs := make([]*string, n), make([]*string, n)
	counts, attempts, completed := make([]*int, n), make([]int32, n), make([]*time.Time, n)
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
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO windows AS w (
			function_id, window_start, state, planned, records, pending, rejected,
			source_count, attempts, last_error, completed_at, recheck_at)
		SELECT n.function_id, n.window_start, COALESCE(n.state, 'pending'), n.state IS NOT NULL,
		       n.records, n.pending, n.rejected,
		       CASE WHEN n.state = 'complete' THEN COALESCE(n.source_count, n.records + n.rejected) ELSE n.source_count END,
		       n.attempts, n.last_error, n.completed_at,
		       CASE WHEN n.pending > 0 THEN $12::timestamptz END
		  FROM unnest($1::integer[], $2::timestamptz[], $3::text[], $4::integer[], $5::integer[], $6::integer[],
		              $7::integer[], $8::integer[], $9::text[], $10::timestamptz[])
		    AS n (function_id, window_start, state, records, pending, rejected,
		          source_count, attempts, last_error, completed_at)
		    ON CONFLICT (function_id, window_start) DO UPDATE
		   SET records  = w.records + EXCLUDED.records,
		       pending  = w.pending + EXCLUDED.pending,
		       rejected = w.rejected + EXCLUDED.rejected,
		       attempts = w.attempts + EXCLUDED.attempts,
		       planned  = w.planned OR EXCLUDED.planned,
		       state        = CASE WHEN EXCLUDED.planned THEN EXCLUDED.state ELSE w.state END,
		       last_error   = CASE WHEN EXCLUDED.planned THEN EXCLUDED.last_error ELSE w.last_error END,
		       completed_at = CASE WHEN EXCLUDED.planned THEN EXCLUDED.completed_at ELSE w.completed_at END,
		       verified_at  = CASE WHEN EXCLUDED.planned THEN NULL ELSE w.verified_at END,
		       rechecks     = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN w.rechecks ELSE 0 END,
		       recheck_at   = CASE WHEN w.pending + EXCLUDED.pending > 0 THEN COALESCE(w.recheck_at, $12) END,
		       source_count = CASE WHEN EXCLUDED.planned THEN
			       CASE WHEN EXCLUDED.state = 'complete' AND $11
			            THEN w.records + w.rejected + EXCLUDED.records + EXCLUDED.rejected
			            ELSE EXCLUDED.source_count END
			       ELSE w.source_count END`,
		functions, starts, states, records, pending, rejected, counts, attempts, errs, completed, w.uncounted(keys), at.Add(archive.FirstRecheck))
	if err != nil {
		return fmt.Errorf("upsert %d windows: %w", n, err)
	}
	return nil
}

// uncounted reports whether windows are completed by a walk that does not know
// the source's count a window: one that resumed. Its total agreed, so what the
// archive has of each window is what the source counts of it.
func (w *windowChanges) uncounted(keys []windowKey) bool {
	for _, key := range keys {
		if c := w.of[key]; c.state == archive.StateComplete && c.sourceCount == nil {
			return true
		}
	}
	return false
}
