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
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// A windowKey is a row of windows.
type windowKey struct {
	functionID int32
	start      time.Time
}

// A windowChange is what a commit changes in one window: by how many its rows grow,
// and, if state is set, how reading it ended.
type windowChange struct {
	records, pending, rejected int
	state                      archive.State
	sourceCount                *int
	attempts                   int
	err                        string
	completed                  time.Time
	expired                    archive.Expired // if state is StateExpired
	refused                    archive.Span    // if state is StateFailed or StateShort: see archive.Refusal
	stuck                      bool            // the same
	at                         time.Time
	recount                    bool // its rows have changed: its figures are due
	left                       bool // a record with a start has moved to another window
}

// Why a window is expired, if the outcome of its walk does not say more.
const (
	whyTooOld   = "the source may have forgotten its records before it was first listed"
	whyMissed   = "the source may have forgotten records before the window was read"
	whyUnproven = "the source gives no records, and has lately given no record as old"
)

// changes reports whether there is anything to write.
func (c *windowChange) changes() bool {
	return c.records != 0 || c.pending != 0 || c.rejected != 0 || c.state != ""
}

// windowChanges collects the changes of a commit, so that each window is written once.
type windowChanges struct {
	of map[windowKey]*windowChange

	// The window noted last: rows of one window often follow each other.
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
		var isExpired bool
		if c.expired, isExpired = o.Expired[hour]; isExpired {
			c.state, c.err = archive.StateExpired, cmp.Or(c.err, why(c.expired))
		}
		c.stuck = o.Refusal.Stuck && !isExpired
		// A window is asked for with a margin, and the margin's seconds may be what fails.
		if o.Refusal.Smallest.Overlaps(archive.Span{From: hour.Add(-archive.QueryMargin), To: hour.Add(archive.Hour + archive.QueryMargin)}) {
			c.refused = o.Refusal.Smallest
		}
		if c.state == archive.StateComplete || isExpired && o.State != archive.StateFailed {
			c.completed = at
		}
		if o.Counts != nil {
			n := o.Counts[hour]
			c.sourceCount = &n
		}
	}
}

func why(e archive.Expired) string {
	switch {
	case e.Unproven:
		return whyUnproven
	case e.Missed:
		return whyMissed
	default:
		return whyTooOld
	}
}

func (w *windowChanges) starts() []time.Time {
	starts := make([]time.Time, 0, len(w.of))
	for key := range w.of {
		starts = append(starts, key.start)
	}
	return starts
}

// queue upserts the windows, in the order of their keys.
//
// A walk that resumed does not know the source's count of a window, but its total
// agreed: the records of a window that it completes are that count.
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
	w.queueUnverify(batch)
	w.upsert(batch, counted, false)
	w.upsert(batch, uncounted, true)
}

var (
	//go:embed upsertwindows.sql
	upsertWindows string
	//go:embed unverify.sql
	unverifyWindows string
)

// queueUnverify makes windows be compared with the source again that were compared
// together with a window that a record has left.
func (w *windowChanges) queueUnverify(batch *pgx.Batch) {
	var functions []int32
	var starts []time.Time
	for key, c := range w.of {
		if c.left {
			functions, starts = append(functions, key.functionID), append(starts, key.start)
		}
	}
	if len(functions) > 0 {
		batch.Queue(unverifyWindows, pg.Args{"functions": functions, "starts": starts, "max_span": archive.MaxSpan})
	}
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
	rechecks, refusedFrom, refusedTo := make([]time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	missed, unproven, bare := make([]bool, n), make([]bool, n), make([]bool, n)
	retries := make([]*time.Time, n) // after the first failure of a window that is stuck
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
		missed[i], unproven[i], bare[i] = c.expired.Missed, c.expired.Unproven, c.expired.Bare && !c.expired.Missed
		refusedFrom[i], refusedTo[i] = pg.OrNull(c.refused.From), pg.OrNull(c.refused.To)
		if c.stuck {
			next := archive.WindowOf(c.at).Add(archive.Hour)
			retries[i] = &next
		}
	}
	batch.Queue(upsertWindows, pg.Args{
		"functions": functions, "starts": starts, "states": states,
		"records": records, "pending": pending, "rejected": rejected,
		"source_counts": counts, "attempts": attempts, "errors": errs,
		"completed": completed, "rechecks": rechecks, "uncounted": uncounted,
		"missed": missed, "unproven": unproven, "bare": bare,
		"refused_from": refusedFrom, "refused_to": refusedTo, "retries": retries,
	})
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
