package loop

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"archiver/internal/archive"
)

// maxFailuresKept bounds the failures in a run's summary. All failures are in the
// log and in the windows.
const maxFailuresKept = 100

// An Archiver brings the windows of a source's functions into a store.
type Archiver struct {
	Source archive.Source
	Name   string // of the source, for people
	Store  archive.Store
	Clock  archive.Clock
	Log    *slog.Logger
	Match  func(archive.Function) bool // which functions; nil for all
	Wanted func(archive.Function) bool // which functions the settings pick; nil for all
	Named  []archive.Function          // of these, those that are archived even if the source does not list them
	Settle time.Duration               // how long after its end a window is not read yet

	// StoreAhead returns how far the store's clock is ahead of a clock; nil if the store has none.
	StoreAhead func(context.Context, archive.Clock) (time.Duration, error)
	// IgnoreClocks leaves out the source's clock where clocks are compared.
	IgnoreClocks bool

	SourceRetention time.Duration // how long the source keeps records

	// Versions, if set, makes a run read every version that the source lists. If nil,
	// a run reads only the latest version of each function.
	Versions archive.VersionStore

	// Concurrency is how many calls the source makes at once. It also bounds how many
	// pages are in memory and how many functions are worked on: see pagesPerCall.
	Concurrency int

	// DatabasePatience returns until when a run waits for a database whose trouble began
	// at a time. If nil, a run ends with the first trouble.
	DatabasePatience func(since time.Time) time.Time
}

// A run is one pass of an Archiver.
type run struct {
	*Archiver
	wall             archive.Clock // which may jump; Clock does not
	dated            int64         // the source's last dated answer before this run asked
	compared         bool          // the clocks were compared since, and agree
	order            archive.Order
	began            time.Time
	progress         *archive.Progress
	forecast         *forecast
	listing          func() // ends that functions may come which no forecast has
	slots            *pageSlots
	patience         *storePatience
	settingsFailures atomic.Int64 // in this run
	queue            *queue
	traits           archive.Traits
	offsets          archive.Offsets // nil if the source's cursors are not offsets
	learned          *learned
	roundFrom        int64 // what the run had reached when this round began
	longestRound     int64 // the most that a round before has reached, if each reaches the same
	functionsBefore  int64 // the most functions and windows due in a round before
	windowsBefore    int64
	newestOnly       bool        // only the newest due hour of each function is read now
	ignored          bool        // some function that matches
	listDenied       bool        // the list of functions
	accepting        atomic.Bool // the source has answered about some function in this run

	mu              sync.Mutex
	doubt           string                   // that the clocks differ somewhat
	planned         map[int32]bool           // functions whose windows are planned
	decided         map[int32][]archive.Span // by function: what this run has read, or tried to
	narrowed        map[int32]int            // by function: calls made to narrow questions
	gaveUp          map[int32]archive.State  // functions that do not answer: failed, or pending if the source throttles them
	held            map[int32]bool           // functions that this run has claimed, also if it has released them
	vanished        map[int32]bool           // functions, without their versions, that are gone since this run
	done            map[int32]bool           // functions of which nothing is left to do in this run
	zoned           map[int32]bool           // functions whose records start whole hours outside of what was asked for
	deniedFunctions map[int32]bool           // functions that the source has denied
	missedUnproven  []time.Duration          // since windows began that are missed only since no record as old was seen
	unprovenFrom    time.Time                // end of the first window that is expired since no record as old was seen
	settingsDue     []archive.Due
	failures        []archive.Failure
	differences     []archive.Difference
}

// Archive makes the windows of the order complete, as far as they are due.
//
// It returns an *IncompleteError if some windows did not become complete, and
// ErrNoFunction if no function matched. If the run ended early, it returns the reason: a
// *ClockError, ErrDenied, the context's cause, or an error of the store. In every case the
// summary says what the run did, and the records read so far stay in the archive.
func (a *Archiver) Archive(ctx context.Context, o archive.Order, p *archive.Progress) (archive.Summary, error) {
	began := a.Clock.Now()
	wall, steadied := a.Clock, *a
	steadied.Clock = steadyClock{wall, began}
	a = &steadied
	summary := archive.Summary{Range: o.Range}
	if due := archive.DueBefore(began, a.Settle); o.Range.To.After(due) {
		o.Range.To = due
	}
	if o.Range.To.Before(o.Range.From) {
		o.Range.To = o.Range.From
	}
	if a.SourceRetention > 0 {
		o.ForgottenBefore = archive.WindowOf(began.Add(-a.SourceRetention))
	}
	o.Source.ID, o.Source.Name, o.Source.Retention = a.Source.ID(), a.Name, a.SourceRetention
	waits := newStorePatience(a)
	var id archive.RunID
	err := waits.until(ctx, func() (err error) {
		id, err = a.Store.BeginRun(ctx, o, began)
		return err
	})
	if err != nil {
		return summary, fmt.Errorf("note the beginning of a run: %w", err)
	}
	summary.Run = id
	before := a.Source.Stats()
	r := &run{
		Archiver: a, wall: wall, order: o, began: began, progress: p, traits: a.Source.Traits(),
		patience: waits, slots: newPageSlots(pagesPerCall * max(a.Concurrency, 1)),
		planned: make(map[int32]bool), decided: make(map[int32][]archive.Span), narrowed: make(map[int32]int), gaveUp: make(map[int32]archive.State), held: make(map[int32]bool), deniedFunctions: make(map[int32]bool), vanished: make(map[int32]bool), done: make(map[int32]bool), zoned: make(map[int32]bool),
	}
	r.forecast = newForecast(p)
	r.offsets, _ = a.Source.(archive.Offsets)
	waits.run = r
	stopNotes := r.noteProgress(ctx, id, before)
	err = r.readPatiently(ctx, &summary)
	stopNotes()
	after := a.Source.Stats()
	summary.Totals, summary.Failures = p.Totals(), r.failures
	summary.Functions, summary.Windows = max(summary.Functions, r.functionsBefore), max(summary.Windows, r.windowsBefore)
	summary.Differences, summary.Unrepaired = r.differences, o.Compare && !o.Repair
	summary.Calls, summary.Refused = after.Calls-before.Calls, after.Refused-before.Refused
	switch cause := context.Cause(ctx); {
	case err == nil:
		summary.Windows = max(summary.Windows, summary.Done+summary.Throttled)
		summary.Elsewhere = summary.Windows - summary.Done - summary.Throttled
		if err = summary.Err(); err == nil && summary.Matched == 0 && !r.ignored {
			err = archive.ErrNoFunction
		}
	case cause != nil:
		err = cause // other errors follow from it
	}
	// A crash before this line leaves a run without an end. The next run notes that its
	// process died.
	ended := waits.until(ctx, func() error {
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
		defer stop()
		return a.Store.EndRun(end, id, summary, err, a.Clock.Now())
	})
	if ended != nil && err == nil {
		err = fmt.Errorf("note the end of a run: %w", ended)
	}
	return summary, err
}

// noteProgress writes the run's progress to the store every NoteEvery, until stop is
// called. before are the source's call counts when the run began. An error is
// ignored: the next note, or the end of the run, writes the same numbers.
func (r *run) noteProgress(ctx context.Context, id archive.RunID, before archive.SourceStats) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for r.Clock.Sleep(ctx, archive.NoteEvery) == nil {
			now := r.Source.Stats()
			_ = r.Store.NoteRun(ctx, id, archive.Noted{
				Totals: r.progress.Totals(), Calls: now.Calls - before.Calls, Refused: now.Refused - before.Refused, Doubt: r.doubted(),
			}, r.Clock.Now())
		}
	}()
	return func() { cancel(); <-ended }
}

func (r *run) doubted() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doubt
}

// read reads everything that is due: first the newest hour of every function, then what
// the source will forget first.
func (r *run) read(ctx context.Context, summary *archive.Summary) error {
	r.dated, r.compared = r.lastDated(), false
	known, err := r.Store.Learned(ctx, r.Source.ID(), r.began.Add(-archive.LearnedLife))
	if err != nil {
		return fmt.Errorf("look up what was learned of the source: %w", err)
	}
	earlier := r.learned
	r.learned = newLearned(known)
	r.learned.again(earlier)
	pacer, paced := r.Source.(archive.Pacer)
	if paced {
		pacer.StartPace(r.learned.value(archive.LearnedRate))
	}
	r.listing = r.forecast.unsure()
	defer r.listing()
	latest, err := r.listFunctions(ctx, summary)
	if err != nil {
		return err
	}
	versions, err := r.knownVersions(ctx, latest, summary)
	if err != nil {
		return err
	}
	// The latest versions first. If the source lists the records of all versions
	// under the latest, the other versions' pages are in the archive already, and
	// two workers never write the same records at once.
	read := func() error {
		for _, functions := range [][]archive.Known{latest, versions} {
			if err := r.readDue(ctx, functions, summary); err != nil {
				return err
			}
		}
		return nil
	}
	settled := func() {}
	if r.Versions != nil {
		settled = r.forecast.unsure()
		defer settled()
	}
	listVersions := sync.OnceValue(func() (err error) {
		if err = r.listVersions(ctx, latest); err == nil {
			versions, err = r.knownVersions(ctx, latest, summary)
		}
		return err
	})
	if r.order.FollowRange { // what a backfill has to read is known early
		if err := listVersions(); err != nil {
			return err
		}
	}
	if r.newestOnly = !r.order.Compare; r.newestOnly {
		if err := read(); err != nil {
			return err
		}
	}
	if err := listVersions(); err != nil {
		return err
	}
	if r.newestOnly && !r.order.FollowRange { // of the versions that were found just now
		if err := r.readDue(ctx, versions, summary); err != nil {
			return err
		}
	}
	r.newestOnly = false
	settled()
	summary.Matched = len(latest) + len(versions)
	if !r.order.Compare {
		summary.NotDue = (summary.Range.Windows() - r.order.Range.Windows()) * summary.Matched
	}
	if err := read(); err != nil {
		return err
	}
	if err := r.readAllSettings(ctx); err != nil {
		return err
	}
	if paced && pacer.Pace() > 0 {
		r.learned.set(archive.LearnedRate, pacer.Pace(), r.Clock.Now())
	}
	if n := len(r.vanished); r.order.Pass() && archive.GoneAtOnce(int64(n), int64(len(latest))) {
		summary.Vanished = n
	}
	return r.proveAge(ctx, latest)
}
