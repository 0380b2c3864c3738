package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"archiver/internal/archive"
)

// A run waits firstPause before it looks again at functions that another process had
// claimed. Each later wait is twice as long, up to maxPause.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// readDue reads the due windows of the functions: the newest windows only, or the oldest
// first. It comes back to functions that another process had claimed, until none of
// their windows is due.
func (r *run) readDue(ctx context.Context, functions []archive.Known, summary *archive.Summary) error {
	pause := firstPause
	for len(functions) > 0 {
		due, err := r.Store.Due(ctx, functions, r.order, r.began)
		if err != nil {
			return fmt.Errorf("plan what is due: %w", err)
		}
		if err := r.plan(ctx, due, summary); err != nil {
			return err
		}
		r.forget(functions, due)
		due = r.turns(due)
		claimed, err := r.runWorkers(ctx, due)
		if err != nil || len(claimed) == 0 || r.newestOnly {
			return err // what another process has now is looked at again later
		}
		if len(claimed) < len(due) {
			pause = firstPause // some functions are done: the other process may finish others soon
		}
		functions = claimed
		if err := r.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
	return nil
}

// plan notes what is due of functions that this run has not planned yet.
func (r *run) plan(ctx context.Context, due []archive.Due, summary *archive.Summary) error {
	due = slices.DeleteFunc(slices.Clone(due), func(d archive.Due) bool { return r.planned[d.ID] })
	if len(due) == 0 {
		return nil
	}
	if err := r.Store.Plan(ctx, due, r.order); err != nil {
		return fmt.Errorf("note what is due: %w", err)
	}
	for _, d := range due {
		r.planned[d.ID] = true
		summary.Waiting += d.Waiting
		r.forecast.plan(&d, r.traits.Page)
		if d.Settings {
			before := r.shareOf(len(r.settingsDue))
			r.settingsDue = append(r.settingsDue, d)
			if _, ok := r.Source.(archive.SettingsSource); ok {
				r.forecast.expect(r.shareOf(len(r.settingsDue)) - before)
			}
		}
	}
	r.progress.Update(func(p *archive.Totals) {
		for _, d := range due {
			p.Functions++
			p.Windows += int64(d.Windows)
		}
	})
	r.listing()
	return nil
}

// forget notes that nothing is left of functions that are not due any more: another process
// has read them.
func (r *run) forget(functions []archive.Known, due []archive.Due) {
	still := make(map[int32]bool, len(due))
	for _, d := range due {
		still[d.ID] = true
	}
	for _, f := range functions {
		if !still[f.ID] {
			r.forecast.ended(f.ID)
		}
	}
}

// turns returns the functions that are read now. The newest windows are those at the
// end of the range: after a crash the next run does not begin with others.
func (r *run) turns(due []archive.Due) []archive.Due {
	return slices.DeleteFunc(due, func(d archive.Due) bool {
		if r.newestOnly {
			return d.Windows == 0 || !d.Newest.Add(archive.Hour).Equal(r.order.Range.To)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.done[d.ID]
	})
}

// runWorkers starts the workers, which take the functions from the queue. It returns the
// functions that another process had claimed. The first error ends all workers.
func (r *run) runWorkers(ctx context.Context, due []archive.Due) (claimed []archive.Known, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.queue = newQueue(due)
	var workers sync.WaitGroup
	n := min(r.slots.count(), len(due))
	r.slots.workers.Store(int64(n))
	r.slots.left.Store(int64(len(due)))
	for range n {
		workers.Go(func() {
			for ctx.Err() == nil && !r.tooManyWorkers() {
				t, ok := r.queue.pop()
				if !ok {
					r.slots.workers.Add(-1)
					return
				}
				remaining, err := r.readFunction(ctx, t)
				// A function that a killed process may have keeps its share of the slots.
				switch {
				case errors.Is(err, archive.ErrClaimed), errors.Is(err, archive.ErrClaimLost):
					if r.claimedElsewhere(t.ID); r.slots.alive.Load() {
						r.slots.left.Add(-1)
					}
					r.mu.Lock()
					claimed = append(claimed, t.Known)
					r.mu.Unlock()
				case err != nil:
					cancel(err)
				case remaining != nil:
					r.queue.push(*remaining)
				default:
					if r.slots.left.Add(-1); !r.newestOnly {
						r.forecast.ended(t.ID)
					}
				}
			}
		})
	}
	workers.Wait()
	return claimed, context.Cause(ctx)
}

// claimedElsewhere notes that another process has a function of this run. The claims of a
// killed process outlive it until PostgreSQL has ended its sessions, however long that
// takes: if only functions at work had shares of the slots then, the pages that it lost
// would not lie within them. A function that this run has held before is claimed by a
// process that is alive.
func (r *run) claimedElsewhere(function int32) {
	r.slots.otherProcess.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[function] {
		r.slots.alive.Store(true)
	}
}

// tooManyWorkers reports whether the worker that calls it has to end, so that
// another process gets functions too. Once another process has claimed functions of
// this run, the run has at most as many workers as functions wait in its queue, and
// at least one.
func (r *run) tooManyWorkers() bool {
	if !r.slots.otherProcess.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.slots.workers.Load(); n > 1 && int(n) > r.queue.len() {
		r.slots.workers.Add(-1)
		return true
	}
	return false
}
