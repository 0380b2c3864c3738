package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"archiver/internal/archive"
	"archiver/internal/schedule"
	"archiver/internal/sources"
)

// betweenFirst is the least time between the beginning of a pass that did not end and the
// first pass of a process. A process that dies in its first pass, and is started again at
// once, makes no more passes than one that lives.
const betweenFirst = time.Minute

// Run makes a pass of each source at the ticks of its schedule, until ctx ends. If atOnce is
// set, the first pass of each source that is open begins before its first tick.
func (set *Set) Run(ctx context.Context, clock archive.Clock, atOnce bool) error {
	m := set.Maintenance(clock)
	var first time.Time
	if atOnce {
		first = set.firstPass(ctx, clock.Now())
	}
	return set.atTicks(ctx, clock, first, func(ctx context.Context, s *Source, tick time.Time) {
		m.MakeDays(ctx, s.Log)
		stop := m.CountDuring(ctx, s.Log)
		err := s.pass(ctx, set, tick)
		stop()
		m.AfterTick(ctx, tick, err, s.Log)
	})
}

// firstPass returns when the first pass begins: now, or betweenFirst after the last one that
// did not end. If the database does not tell, the pass itself waits for the database.
func (set *Set) firstPass(ctx context.Context, now time.Time) time.Time {
	last, err := set.store.UnderWay(ctx, "run")
	if err != nil || last.IsZero() || last.After(now) || now.Sub(last) >= betweenFirst {
		return now
	}
	return last.Add(betweenFirst)
}

// atTicks does the work for each source at the ticks of the source's schedule, and for those
// that are open at the time first, unless that is zero, until ctx ends. A source that is busy
// does not delay the others.
func (set *Set) atTicks(ctx context.Context, clock archive.Clock, first time.Time, work func(context.Context, *Source, time.Time)) error {
	ticks := make([]cron.Schedule, len(set.Sources))
	for i, s := range set.Sources {
		var err error
		if ticks[i], err = schedule.Parse(s.Schedule); err != nil {
			return s.Named(fmt.Errorf("schedule: %w", err))
		}
	}
	var running sync.WaitGroup
	for i, s := range set.Sources {
		begin := first
		if s.Err != nil {
			begin = time.Time{} // it was signed in to just now, which failed
		}
		running.Go(func() {
			schedule.Run(ctx, ticks[i], clock, s.Log, begin, func(ctx context.Context, tick time.Time) { work(ctx, s, tick) })
		})
	}
	running.Wait()
	return nil
}

// LogNotOpened logs that the source cannot be opened. run tries again at each tick.
func (s *Source) LogNotOpened() {
	s.Log.Error("source cannot be opened, the next tick tries again", archive.ErrorKeys(s.Err)...)
}

// pass makes the pass of a tick. It first opens the source if that failed before.
// Windows that the pass cannot archive are due again at the next tick.
func (s *Source) pass(ctx context.Context, set *Set, tick time.Time) error {
	if s.Archiver == nil {
		if s.Err = s.open(ctx); s.Err != nil {
			if ctx.Err() != nil {
				return s.Err
			}
			if s.metrics != nil {
				s.metrics.NotOpened(sources.Name(&s.Source))
			}
			s.LogNotOpened()
			set.noteNotOpened(ctx, s)
			return s.Err
		}
		s.archiveInto(set, nil)
	}
	o := s.RunOrder(tick)
	began := s.Archiver.Clock.Now()
	ended := func(error) {}
	if s.metrics != nil {
		ended = s.metrics.Run(s.Archiver.Name)
	}
	summary, err := s.Archiver.Archive(ctx, o, new(archive.Progress))
	ended(err)
	if compared := summary.Apart > 0 || !FailedAsWhole(err); compared && s.metrics != nil {
		s.metrics.Clocks(s.Archiver.Name, summary.Apart)
	}
	logEnd(s.Log, slog.LevelError, o, summary, s.Archiver.Clock.Now().Sub(began), err)
	return err
}

// RunOrder returns the order of a tick.
func (s *Source) RunOrder(tick time.Time) archive.Order {
	o := s.DueOrder("run", tick)
	o.Rest = true // the next tick will come
	if ticks, err := schedule.Parse(s.Schedule); err == nil {
		next := ticks.Next(archive.SystemClock{}.Now().UTC())
		o.Source.Ticks = [2]time.Time{next, ticks.Next(next)}
	}
	return o
}

// DueOrder orders every window that is due at a time, older windows that a run
// began, and the records in flight and counts whose time has come.
func (s *Source) DueOrder(askedBy string, now time.Time) archive.Order {
	due := archive.DueBefore(now, s.Settle)
	return archive.Order{
		AskedBy: askedBy, Older: true, Follow: true, VerifyAfter: s.VerifyAfter,
		Range: archive.Span{From: archive.WindowOf(due.Add(-s.Lookback)), To: due},
	}
}
