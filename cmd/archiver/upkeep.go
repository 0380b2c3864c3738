package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// dropBefore is the time before which days are dropped, zero for never. What
// passes like this one still read is kept, however the hours fall.
func (f *dueFlags) dropBefore(o archive.Order, now time.Time) time.Time {
	if f.Retention == 0 {
		return time.Time{}
	}
	before := now.Add(-f.Retention)
	if o.Range.From.Before(before) {
		before = o.Range.From
	}
	return before
}

// dropBefore is the same for the passes of all sources, which share the days.
func (o *opened) dropBefore(now time.Time, due func(*commands) *dueFlags, order func(*openedSource) archive.Order) time.Time {
	var first time.Time
	for i, s := range o.sources {
		before := due(&s.commands).dropBefore(order(s), now)
		if i == 0 || before.Before(first) {
			first = before
		}
	}
	return first
}

// inDays is a duration as one gives it.
func inDays(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}

// makeAhead makes the days that a pass will most likely write to. Where that
// fails, the pages that need them try again, and say what is wrong.
func makeAhead(ctx context.Context, db *pg.DB, now time.Time, log *slog.Logger) {
	if err := days.New(db).MakeAhead(ctx, now); err != nil && ctx.Err() == nil {
		log.Warn("days could not be made ahead", "error", err)
	}
}

// figuresEvery is how long figures are left as they are while a pass goes on.
const figuresEvery = 5 * time.Minute

// figuresWithin is for how long days are begun to be counted while others wait:
// neither a tick nor a pass is held up by the first count of a year.
const figuresWithin = 30 * time.Second

// figuresMeanwhile counts the figures of what a long pass has read, every so
// often, until the function it returns is called.
func figuresMeanwhile(ctx context.Context, db *pg.DB, clock archive.Clock, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for clock.Sleep(ctx, figuresEvery) == nil {
			countFigures(ctx, db, clock, figuresWithin, log)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// countFigures counts what is due, within a time or all of it. What fails stays due.
func countFigures(ctx context.Context, db *pg.DB, clock archive.Clock, within time.Duration, log *slog.Logger) {
	if err := figures.Count(ctx, db, clock, within); err != nil && ctx.Err() == nil {
		log.Warn("figures are left as they were", "error", err)
	}
}

// turns has one upkeep at a time, and keeps nobody waiting for another one's:
// who would have to leaves it to that one to do it once more.
type turns struct {
	taken sync.Mutex
	due   atomic.Bool
}

func (t *turns) do(work func()) {
	t.due.Store(true)
	// Whoever finds it taken has made it due before, and due is looked at after
	// it is given back.
	for t.due.Load() && t.taken.TryLock() {
		t.due.Store(false)
		work()
		t.taken.Unlock()
	}
}

// upkeep is what comes after a pass, unless it was interrupted: figures are
// counted, within a time or all of them, old days dropped, statistics made. What fails of it is no failure of the pass, and is
// tried again after the next one.
func upkeep(ctx context.Context, db *pg.DB, within time.Duration, dropBefore time.Time, log *slog.Logger) {
	if ctx.Err() != nil {
		return
	}
	countFigures(ctx, db, archive.SystemClock{}, within, log)
	if !dropBefore.IsZero() {
		if err := days.New(db).Retain(ctx, dropBefore); err != nil && ctx.Err() == nil {
			log.Warn("old days are left", "error", err)
		}
	}
	if err := days.New(db).Analyze(ctx); err != nil && ctx.Err() == nil {
		log.Warn("statistics are left as they were", "error", err)
	}
}
