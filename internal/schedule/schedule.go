// Package schedule runs a job at the ticks of a cron expression, in UTC: a
// schedule in local time skips or repeats the hour in which clocks change.
package schedule

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"archiver/internal/archive"
)

// Parse reads a cron expression of five fields. An expression with a time zone is
// an error.
func Parse(expression string) (cron.Schedule, error) {
	if strings.Contains(expression, "TZ=") {
		return nil, fmt.Errorf("%q names a time zone, and ticks are in UTC", expression)
	}
	s, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression of five fields: %w", expression, err)
	}
	return s, nil
}

// manyTicks is how many ticks are looked at for the shortest time between two.
const manyTicks = 1000

// Shortest returns the shortest time between two ticks after a time; an hour if there
// are no two.
func Shortest(ticks cron.Schedule, after time.Time) time.Duration {
	shortest := time.Duration(0)
	last := ticks.Next(after)
	for range manyTicks {
		next := ticks.Next(last)
		if last.IsZero() || next.IsZero() {
			break
		}
		if gap := next.Sub(last); shortest == 0 || gap < shortest {
			shortest = gap
		}
		last = next
	}
	return cmp.Or(shortest, time.Hour)
}

// Run calls the job at the time first, unless that is zero, and at every tick until ctx
// ends, and then waits for a job that is still busy. A tick at which the last job is still
// busy is skipped and logged. The job gets the time of its tick, in UTC. Run logs which tick
// is next: at its start, and after each job.
func Run(ctx context.Context, ticks cron.Schedule, clock archive.Clock, log *slog.Logger, first time.Time, job func(ctx context.Context, tick time.Time)) {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	idle := make(chan struct{}, 1)
	idle <- struct{}{}
	sayNext := func(tick time.Time) {
		if !tick.IsZero() && ctx.Err() == nil {
			log.Info("the next pass", "tick", tick)
		}
	}
	var last time.Time
	for begun := false; ; begun = true {
		now := clock.Now().UTC()
		after := now
		// If the clock was set back during the sleep, the last tick would come again.
		if back := last.Sub(now); back > 0 && back < time.Minute {
			after = last
		}
		tick := ticks.Next(after)
		if !begun && !first.IsZero() && (tick.IsZero() || first.Before(tick)) {
			tick = first.UTC()
		}
		if !begun {
			sayNext(tick)
		}
		if tick.IsZero() {
			log.Error("the schedule has no further tick")
			<-ctx.Done()
			return
		}
		if clock.Sleep(ctx, tick.Sub(now)) != nil {
			return
		}
		last = tick
		select {
		case <-idle:
			jobs.Go(func() {
				defer func() { idle <- struct{}{} }()
				job(ctx, tick)
				sayNext(ticks.Next(clock.Now().UTC()))
			})
		default:
			log.Warn("tick is skipped, the last one is still busy", "tick", tick)
		}
	}
}
