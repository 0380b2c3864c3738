package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"archiver/internal/archive"
)

const (
	// maxFailuresKept bounds what a run remembers of its troubles; every one
	// of them is in the log and in the windows.
	maxFailuresKept = 100

	// A run looks again at functions that another process had after firstLook,
	// then after twice as long each time, up to lastLook.
	firstLook = 100 * time.Millisecond
	lastLook  = 2 * time.Second
)

// An Archiver brings the windows of a source's functions into a store.
type Archiver struct {
	Source archive.Source
	Store  archive.Store
	Clock  archive.Clock
	Log    *slog.Logger
	Match  func(archive.Function) bool // which functions; nil for all
	Settle time.Duration               // how long after its end a window is left alone

	// Versions, if set, has every version of a function read that the source
	// lists; else the latest is read alone.
	Versions archive.VersionStore

	// Concurrency is how many calls the source makes at once. How
	// many pages are in hand and functions worked on goes by it.
	Concurrency int
}

// A run is one pass of an Archiver.
type run struct {
	*Archiver
	order            archive.Order
	began            time.Time
	progress         *archive.Progress
	slots            *pageSlots
	shared           atomic.Bool  // another process has had functions of this run
	settingsFailures atomic.Int64 // in this run
	queue            *queue
	end              context.CancelCauseFunc // of all that share reads

	mu          sync.Mutex
	begun       map[int32]time.Time // of functions that gave way: windows before this have been decided
	failures    []archive.Failure
	differences []archive.Difference
}

// Archive makes the windows of the order complete, as far as they are due.
//
// It returns an *IncompleteError where some could not be, and what ended the
// run otherwise: ErrDenied, the context's cause, an error of the store. In
// every case the summary says what was done, and all of that is kept.
func (a *Archiver) Archive(ctx context.Context, o archive.Order, p *archive.Progress) (archive.Summary, error) {
	began := a.Clock.Now()
	summary := archive.Summary{Range: o.Range}
	asked := o.Range
	if due := archive.DueBefore(began, a.Settle); o.Range.To.After(due) {
		o.Range.To = due
	}
	if o.Range.To.Before(o.Range.From) {
		o.Range.To = o.Range.From
	}
	id, err := a.Store.BeginRun(ctx, o, began)
	if err != nil {
		return summary, fmt.Errorf("note the beginning of a run: %w", err)
	}
	summary.Run = id
	before := a.Source.Stats()
	r := &run{
		Archiver: a, order: o, began: began, progress: p,
		slots: newPageSlots(pagesPerCall * max(a.Concurrency, 1)),
		begun: make(map[int32]time.Time),
	}
	stopNotes := r.notes(ctx, id, before)

	latest, versions, err := r.discover(ctx)
	if err == nil {
		summary.Matched = len(latest) + len(versions)
		if !o.Compare {
			summary.NotDue = (asked.Windows() - o.Range.Windows()) * summary.Matched
		}
		// The latest first: where its list holds the records of all versions, the
		// others' pages are found unchanged, and no two functions write them at once.
		err = r.all(ctx, latest)
	}
	if err == nil && len(versions) > 0 {
		err = r.all(ctx, versions)
	}

	stopNotes()
	after := a.Source.Stats()
	summary.Totals, summary.Failures = p.Totals(), r.failures
	summary.Differences, summary.Unrepaired = r.differences, o.Compare && !o.Repair
	summary.Calls, summary.Refused = after.Calls-before.Calls, after.Refused-before.Refused
	switch cause := context.Cause(ctx); {
	case err == nil:
		summary.Elsewhere = summary.Windows - summary.Done
		err = summary.Err()
	case cause != nil:
		err = cause // other errors follow from it
	}
	// A crash before this line leaves a run without an end: it is shown as
	// such, and nothing depends on it.
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
	defer stop()
	if ended := a.Store.EndRun(end, id, summary, err, a.Clock.Now()); ended != nil && err == nil {
		err = fmt.Errorf("note the end of a run: %w", ended)
	}
	return summary, err
}

// discover are the functions that the run is for, and versions of them.
func (r *run) discover(ctx context.Context) (latest, versions []archive.Known, err error) {
	latest, err = r.listFunctions(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := r.listVersions(ctx, latest); err != nil {
		return nil, nil, err
	}
	versions, err = r.KnownVersions(ctx, latest)
	return latest, versions, err
}

// listFunctions lists the functions page by page, and adds those that the
// archive knows and the source does not list any more: what they still give is
// kept, and the source's 404 is what makes them gone.
func (r *run) listFunctions(ctx context.Context) ([]archive.Known, error) {
	var functions []archive.Known
	for page, err := range r.Source.Functions(ctx) {
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return nil, cause
			}
			return nil, fmt.Errorf("list functions: %w", err)
		}
		known, err := r.Store.SeeFunctions(ctx, r.Source.ID(), page, r.began)
		if err != nil {
			return nil, fmt.Errorf("keep the list of functions: %w", err)
		}
		functions = append(functions, known...)
	}
	unseen, err := r.Store.UnseenFunctions(ctx, r.Source.ID(), r.began)
	if err != nil {
		return nil, fmt.Errorf("look up functions that are no longer listed: %w", err)
	}
	functions = append(functions, unseen...)
	// A list that moves while it is paged may name a function twice.
	seen := make(map[int32]bool, len(functions))
	matched := functions[:0]
	for _, f := range functions {
		if !seen[f.ID] && (r.Match == nil || r.Match(f.Function)) {
			seen[f.ID] = true
			matched = append(matched, f)
		}
	}
	return matched, nil
}

// all reads what is due of the functions, the oldest windows first, and comes
// back to those that another process had until nothing is due any more.
func (r *run) all(ctx context.Context, functions []archive.Known) error {
	pause := firstLook
	for first := true; ; first = false {
		due, err := r.Store.Due(ctx, functions, r.order, r.began)
		if err != nil {
			return fmt.Errorf("plan what is due: %w", err)
		}
		if first {
			if err := r.Store.Plan(ctx, due, r.order); err != nil {
				return fmt.Errorf("note what is due: %w", err)
			}
			r.progress.Update(func(p *archive.Totals) {
				for _, d := range due {
					p.Functions++
					p.Windows += int64(d.Windows)
				}
			})
		}
		claimed, err := r.share(ctx, due)
		if err != nil || len(claimed) == 0 {
			return err
		}
		if len(claimed) < len(due) {
			pause = firstLook // some have been done: others will be soon
		}
		functions = claimed
		if err := r.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, lastLook)
	}
}

// share gives the functions to the workers and returns those that another
// process had. The first error ends all workers.
func (r *run) share(ctx context.Context, due []archive.Due) (claimed []archive.Known, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.queue, r.end = newQueue(due, r.begun), cancel
	var workers sync.WaitGroup
	n := min(r.slots.count(), len(due))
	r.slots.workers.Store(int64(n))
	for range n {
		workers.Go(func() {
			for ctx.Err() == nil && !r.leaves() {
				t, ok := r.queue.pop()
				if !ok {
					r.slots.workers.Add(-1)
					return
				}
				left, err := r.function(ctx, t)
				switch {
				case errors.Is(err, archive.ErrClaimed), errors.Is(err, archive.ErrClaimLost):
					r.shared.Store(true)
					r.mu.Lock()
					claimed = append(claimed, t.Known)
					r.mu.Unlock()
				case err != nil:
					cancel(err)
				case left != nil:
					r.queue.push(*left)
				}
			}
		})
	}
	workers.Wait()
	return claimed, context.Cause(ctx)
}

// leaves reports whether a worker ends to leave functions to another process.
// Once another process has had functions of this run, as many functions wait,
// for either process, as are worked on.
func (r *run) leaves() bool {
	if !r.shared.Load() {
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
