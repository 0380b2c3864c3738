package supervise

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

const (
	// FiguresEvery is the time between two counts of figures during a long run.
	FiguresEvery = 5 * time.Minute

	// figuresWithin bounds a count that delays others: no tick waits for the first
	// count of a year.
	figuresWithin = 30 * time.Second
)

// Maintenance keeps up what PostgreSQL needs and what is derived from records:
// days, figures, statistics. An error is logged, and is no failure of the run: the
// next maintenance tries again.
type Maintenance struct {
	db     *pg.DB
	days   *days.Days
	clock  archive.Clock
	passes passes

	retention Retention
	merging   sync.Mutex // held by the one source that merges days
}

// Maintenance returns the maintenance of the set's database.
func (set *Set) Maintenance(clock archive.Clock) *Maintenance {
	return &Maintenance{db: set.DB, days: cmp.Or(set.days, days.New(set.DB)), clock: clock, retention: set.Retention(clock)}
}

// MakeDays makes the days that a run will most likely write to: by the database's clock,
// since this machine's may be wrong. If that fails, the pages that need the days try again,
// and report the error.
func (m *Maintenance) MakeDays(ctx context.Context, log *slog.Logger) {
	ahead, err := m.db.Ahead(ctx, m.clock)
	if err == nil {
		err = m.days.MakeAhead(ctx, m.clock.Now().Add(ahead))
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("days could not be made ahead", "error", err)
	}
}

// CountDuring counts figures every FiguresEvery, until stop is called.
func (m *Maintenance) CountDuring(ctx context.Context, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for m.clock.Sleep(ctx, FiguresEvery) == nil {
			m.count(ctx, figuresWithin, log, untold)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// Count counts all figures that are due.
func (m *Maintenance) Count(ctx context.Context, log *slog.Logger) { m.count(ctx, 0, log, untold) }

func untold(int, int) {}

// count counts figures that are due, and begins no day after the time within; 0 is
// no limit. It first makes the indexes that counting uses.
func (m *Maintenance) count(ctx context.Context, within time.Duration, log *slog.Logger, tell func(done, days int)) {
	m.leave(ctx, log, m.tryCount(ctx, within, tell))
}

func (m *Maintenance) tryCount(ctx context.Context, within time.Duration, tell func(done, days int)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := m.days.Index(ctx); err != nil {
		return err
	}
	return figures.CountAndTell(ctx, m.db, m.clock, within, tell)
}

// leave logs why a count left figures to the next one.
func (m *Maintenance) leave(ctx context.Context, log *slog.Logger, err error) {
	if err != nil && ctx.Err() == nil {
		log.Warn("figures are left as they were", "error", err)
	}
}

// merge merges the days of old months after a pass that began at a time. The sources of a
// set merge one after the other.
func (m *Maintenance) merge(ctx context.Context, began time.Time, log *slog.Logger, tell func(done, months int)) {
	m.merging.Lock()
	defer m.merging.Unlock()
	if ctx.Err() != nil {
		return
	}
	dropBefore, err := m.retention.dropBefore(ctx, began, false)
	if err == nil {
		err = m.days.Merge(ctx, dropBefore, tell)
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("days are not merged", "error", err)
	}
}

// After counts all figures that are due, drops the days that are too old after a pass that
// began at a time, and makes statistics. After a pass that failed as a whole, it drops
// nothing. It does nothing if ctx has ended. ArchiveEach has merged days.
func (m *Maintenance) After(ctx context.Context, began time.Time, ended error, log *slog.Logger) {
	m.after(ctx, 0, began, ended, log)
}

// AfterTick is After for one of several sources, with a limit on counting. It also merges
// days.
func (m *Maintenance) AfterTick(ctx context.Context, began time.Time, ended error, log *slog.Logger) {
	m.passes.run(!FailedAsWhole(ended), func() {
		m.after(ctx, figuresWithin, began, ended, log)
		m.merge(ctx, began, log, untold)
	})
}

func (m *Maintenance) after(ctx context.Context, within time.Duration, began time.Time, ended error, log *slog.Logger) {
	if ctx.Err() != nil {
		return
	}
	m.count(ctx, within, log, untold)
	if !FailedAsWhole(ended) {
		dropBefore, err := m.retention.dropBefore(ctx, began, false)
		if err == nil && !dropBefore.IsZero() {
			err = m.days.Retain(ctx, dropBefore)
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("old days are left", "error", err)
		}
	}
	if err := m.days.Analyze(ctx); err != nil && ctx.Err() == nil {
		log.Warn("statistics are left as they were", "error", err)
	}
}

// passes runs one maintenance pass at a time. A caller that comes during a pass leaves its
// own for later, and returns. A pass that was left replaces one that was left before,
// unless only the earlier one may drop days.
type passes struct {
	mu        sync.Mutex
	running   bool
	next      func()
	nextDrops bool
}

func (p *passes) run(drops bool, pass func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil || drops || !p.nextDrops {
		p.next, p.nextDrops = pass, drops
	}
	if p.running {
		return
	}
	p.running = true
	for p.next != nil {
		pass, p.next = p.next, nil
		p.mu.Unlock()
		pass()
		p.mu.Lock()
	}
	p.running = false
}
