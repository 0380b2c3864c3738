// Package schedule runs a job at the ticks of a cron expression, in UTC: a
// schedule in local time skips or repeats the hour in which clocks change.
package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"archiver/internal/archive"
)

// Parse reads a cron expression of five fields.
func Parse(expression string) (cron.Schedule, error) {
	s, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression of five fields: %w", expression, err)
	}
	return s, nil
}

// Run calls the job at every tick until ctx ends, and returns when the job
// under way has. A tick that finds the last one still busy is skipped and said.
// The job is handed the time of its tick, UTC.
func Run(ctx context.Context, ticks cron.Schedule, clock archive.Clock, log *slog.Logger, job func(ctx context.Context, tick time.Time)) {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	idle := make(chan struct{}, 1)
	idle <- struct{}{}
	for {
		now := clock.Now().UTC()
		tick := ticks.Next(now)
		if tick.IsZero() {
			log.Error("the schedule has no further tick")
			<-ctx.Done()
			return
		}
		if clock.Sleep(ctx, tick.Sub(now)) != nil {
			return
		}
		select {
		case <-idle:
			jobs.Go(func() {
				defer func() { idle <- struct{}{} }()
				job(ctx, tick)
			})
		default:
			log.Warn("tick is skipped, the last one is still busy", "tick", tick)
		}
	}
}
