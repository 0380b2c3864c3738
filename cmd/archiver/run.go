package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/metrics"
	"archiver/internal/schedule"
)

// runCommand stays up.
type runCommand struct {
	archiveFlags
	dueFlags
	Schedule string `default:"7 * * * *" help:"When to archive: cron, five fields, UTC."`
	Listen   string `default:"127.0.0.1:8080" help:"Address of health, metrics and status; empty for none."`
}

// Run is called by the command line. It ends with nil at a signal.
func (c *runCommand) Run(ctx context.Context, s streams) error {
	log := c.logger(s.err)
	ticks, err := schedule.Parse(c.Schedule)
	if err != nil {
		return usagef("--schedule: %w", err)
	}
	if err := c.check(); err != nil {
		return err
	}
	stopProfiles, err := c.profiles(log)
	if err != nil {
		return err
	}
	defer stopProfiles()
	c.metrics = metrics.New(release)
	c.metrics.Begin(c.Provider, extract.Outcomes, c.Lookback)
	archiver, store, err := c.open(ctx, log)
	if err != nil && errors.Is(context.Cause(ctx), archive.ErrInterrupted) {
		return nil // before there was anything to keep
	}
	if err != nil {
		return err
	}
	defer store.Close()
	c.metrics.Watch(store, archiver.Clock, log)
	if c.Listen != "" {
		stop, err := listen(c.Listen, store, c.metrics, log)
		if err != nil {
			return err
		}
		defer stop()
	}
	log.Info("archiver is up", "schedule", c.Schedule, "settle", c.Settle, "listen", c.Listen)
	schedule.Run(ctx, ticks, archiver.Clock, log, func(ctx context.Context, tick time.Time) {
		o := c.order("run", tick, archiver.Settle)
		o.Rest = true // the next tick will come
		makeAhead(ctx, store, tick, log)
		stop := figuresMeanwhile(ctx, store, archiver.Clock, log)
		pass(ctx, archiver, o, log)
		stop()
		upkeep(ctx, store, c.dropBefore(o, tick), log)
	})
	log.Info("archiver ended, what it was doing is kept")
	return nil
}

// pass makes one pass and says how it went. Whatever could not be archived is
// due again at the next tick.
func pass(ctx context.Context, archiver *archive.Archiver, o archive.Order, log *slog.Logger) {
	began := archiver.Clock.Now()
	summary, err := archiver.Archive(ctx, o, new(archive.Progress))
	took := archiver.Clock.Now().Sub(began)
	var incomplete *archive.IncompleteError
	switch {
	case err == nil:
		log.Info("run ended", summaryKeys(summary, took)...)
	case errors.Is(err, archive.ErrInterrupted):
		log.Info("run was interrupted, progress is kept", summaryKeys(summary, took)...)
	case errors.As(err, &incomplete):
		log.Warn("run ended, not complete", append(summaryKeys(summary, took), "error", err)...)
	default:
		log.Error("run failed", append(summaryKeys(summary, took), "error", err)...)
	}
}
