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
	// maxFailuresKept bounds the failures in a run's summary. All failures are in the
	// log and in the windows.
	maxFailuresKept = 100

	// A run waits firstPause before it looks again at functions that another process
	// had claimed. Each later wait is twice as long, up to maxPause.
	firstPause = 100 * time.Millisecond
	maxPause   = 2 * time.Second
)

// An Archiver brings the windows of a source's functions into a store.
type Archiver struct {
	Source archive.Source
	Store  archive.Store
	Clock  archive.Clock
	Log    *slog.Logger
	Match  func(archive.Function) bool // which functions; nil for all
	Named  []archive.Function          // of these, those that are archived even if the source does not list them
	Settle time.Duration               // how long after its end a window is not read yet

	SourceRetention time.Duration // how long the source keeps records

	// Versions, if set, makes a run read every version that the source lists. If nil,
	// a run reads only the latest version of each function.
	Versions archive.VersionStore

	// Concurrency is how many calls the source makes at once. It also bounds how many
	// pages are in memory and how many functions are worked on: see pagesPerCall.
	Concurrency int
}

// A run is one pass of an Archiver.
type run struct {
	*Archiver
	order            archive.Order
	began            time.Time
	progress         *archive.Progress
	slots            *pageSlots
	settingsFailures atomic.Int64 // in this run
	queue            *queue
	end              context.CancelCauseFunc // ends all workers

	mu          sync.Mutex
	decidedTo   map[int32]time.Time // by function: this run has decided the windows before this hour
	failures    []archive.Failure
	differences []archive.Difference
}

// Archive makes the windows of the order complete, as far as they are due.
//
// It returns an *IncompleteError if some windows did not become complete. If the run
// ended early, it returns the reason: ErrDenied, the context's cause, or an error of
// the store. In every case the summary says what the run did, and the records read
// so far stay in the archive.
func (a *Archiver) Archive(ctx context.Context, o archive.Order, p *archive.Progress) (archive.Summary, error) {
	began := a.Clock.Now()
	summary := archive.Summary{Range: o.Range}
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
		slots:     newPageSlots(pagesPerCall * max(a.Concurrency, 1)),
		decidedTo: make(map[int32]time.Time),
	}
	stopNotes := r.noteProgress(ctx, id, before)

	latest, versions, err := r.discover(ctx)
	if err == nil {
		summary.Matched = len(latest) + len(versions)
		if !o.Compare {
			summary.NotDue = (summary.Range.Windows() - o.Range.Windows()) * summary.Matched
		}
		// The latest versions first. If the source lists the records of all versions
		// under the latest, the other versions' pages are in the archive already, and
		// two workers never write the same records at once.
		err = r.readDue(ctx, latest)
	}
	if err == nil && len(versions) > 0 {
		err = r.readDue(ctx, versions)
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
	// A crash before this line leaves a run without an end. Its process is shown as
	// dead after DeadAfter; no later run depends on the end.
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
	defer stop()
	if ended := a.Store.EndRun(end, id, summary, err, a.Clock.Now()); ended != nil && err == nil {
		err = fmt.Errorf("note the end of a run: %w", ended)
	}
	return summary, err
}

// discover returns the functions of the run, and the other versions of functions.
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

// listFunctions returns the functions that the source lists. It adds functions that
// the archive knows and the source does not list any more: the source may still
// have records of them. Only a 404 of the source marks a function as gone.
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
	unseen, err := r.Store.UnseenFunctions(ctx, r.Source.ID(), r.began, r.SourceRetention)
	if err != nil {
		return nil, fmt.Errorf("look up functions that are no longer listed: %w", err)
	}
	functions = append(functions, unseen...)
	// A list that changes between two pages may name a function twice.
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

// readDue reads the due windows of the functions, the oldest windows first. It
// comes back to functions that another process had claimed, until none of their
// windows is due.
func (r *run) readDue(ctx context.Context, functions []archive.Known) error {
	pause := firstPause
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
		claimed, err := r.runWorkers(ctx, due)
		if err != nil || len(claimed) == 0 {
			return err
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
}

// runWorkers starts the workers, which take the functions from the queue. It returns the
// functions that another process had claimed. The first error ends all workers.
func (r *run) runWorkers(ctx context.Context, due []archive.Due) (claimed []archive.Known, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.queue, r.end = newQueue(due, r.decidedTo), cancel
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
				if remaining == nil {
					r.slots.left.Add(-1)
				}
				switch {
				case errors.Is(err, archive.ErrClaimed), errors.Is(err, archive.ErrClaimLost):
					r.slots.otherProcess.Store(true)
					r.mu.Lock()
					claimed = append(claimed, t.Known)
					r.mu.Unlock()
				case err != nil:
					cancel(err)
				case remaining != nil:
					r.queue.push(*remaining)
				}
			}
		})
	}
	workers.Wait()
	return claimed, context.Cause(ctx)
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
