package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/loop"
	"archiver/internal/metrics"
	"archiver/internal/schedule"
	"archiver/internal/serve"
)

// runCommand stays up.
type runCommand struct {
	archiveFlags
	dueFlags
	Schedule string `type:"cron" default:"7 * * * *" group:"source" help:"When to archive: cron, five fields, UTC."`
	Listen   string `type:"address" default:"127.0.0.1:8080" help:"Address of health, metrics and status; empty for none."`
}

// Run is called by the command line. It ends with nil at a signal.
func (c *runCommand) Run(ctx context.Context, s streams, in *inForce) error {
	log := c.logger(s.err)
	ticks := make(map[*configured]cron.Schedule)
	for _, of := range in.sources {
		t, err := schedule.Parse(of.commands.Run.Schedule)
		if err != nil {
			return of.named(usagef("--schedule: %w", err))
		}
		ticks[of] = t
	}
	stopProfiles, err := c.profiles(log)
	if err != nil {
		return err
	}
	defer stopProfiles()
	m := metrics.New(release)
	keeps := c.Lookback // by the source that is asked for the least
	for _, of := range in.sources {
		keeps = min(keeps, of.commands.Run.Lookback)
		of.flags.metrics = m
		m.Begin(of.flags.Provider, extract.Outcomes, of.commands.Run.Lookback)
	}
	set, err := in.open(ctx, log)
	if err != nil && errors.Is(context.Cause(ctx), archive.ErrInterrupted) {
		return nil // before there was anything to keep
	}
	if err != nil {
		return err
	}
	defer set.db.Close()
	m.Watch(read.New(set.db), archive.SystemClock{}, log)
	if c.Listen != "" {
		handler := webPages(read.New(set.db), statusPage(read.New(set.db), keeps, log), m, log)
		web, err := serve.Start(context.WithoutCancel(ctx), serve.Options{Address: c.Listen, Handler: handler, Grace: webGrace, Log: log})
		if err != nil {
			return fmt.Errorf("%w (set --listen to another address)", err)
		}
		defer web.Stop()
	}
	for _, o := range set.sources {
		flags := &o.commands.Run
		o.log.Info("archiver is up", "schedule", flags.Schedule, "settle", flags.Settle.String(), "address", c.Listen)
		if o.archiver == nil {
			o.log.Error(notOpened, archive.ErrorKeys(o.err)...)
		}
	}
	var keeping turns
	set.atTicks(ctx, archive.SystemClock{}, ticks, func(ctx context.Context, o *openedSource, tick time.Time) {
		makeAhead(ctx, set.db, tick, o.log)
		stop := figuresMeanwhile(ctx, set.db, archive.SystemClock{}, o.log)
		o.pass(ctx, set.db, tick)
		stop()
		keeping.do(func() {
			upkeep(ctx, set.db, figuresWithin, set.dropBefore(tick, func(c *commands) *dueFlags { return &c.Run.dueFlags }, runOrder(tick)), o.log)
		})
	})
	log.Info("archiver ended, what it was doing is kept")
	return nil
}

// webGrace is how long the end of run waits for pages that are being sent.
const webGrace = time.Second

// webPages serves what run shows. All of it only reads.
//
//	/healthz  200 while the process answers
//	/readyz   200 while the database answers and has the schema, else 503
//	/metrics  the process and the archive, for Prometheus
//	/         the status page
func webPages(store *read.Archive, page http.Handler, m *metrics.Metrics, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", serve.Health())
	mux.Handle("GET /readyz", serve.Ready(store.Ping, archive.SystemClock{}, log))
	mux.Handle("GET /metrics", m.Handler(log))
	mux.Handle("GET /{$}", page)
	return mux
}

// atTicks does the work of each source at the ticks of its own schedule, until
// ctx ends. A source that is busy keeps no other one waiting.
func (o *opened) atTicks(ctx context.Context, clock archive.Clock, ticks map[*configured]cron.Schedule, work func(context.Context, *openedSource, time.Time)) {
	var running sync.WaitGroup
	for _, source := range o.sources {
		running.Go(func() {
			schedule.Run(ctx, ticks[source.configured], clock, source.log, func(ctx context.Context, tick time.Time) {
				work(ctx, source, tick)
			})
		})
	}
	running.Wait()
}

// runOrder is what a tick asks for of a source.
func runOrder(tick time.Time) func(*openedSource) archive.Order {
	return func(o *openedSource) archive.Order {
		order := o.commands.Run.order("run", tick, o.commands.Run.Settle)
		order.Rest = true // the next tick will come
		return order
	}
}

// notOpened is said of a source that cannot be signed in to.
const notOpened = "source cannot be opened, the next tick tries again"

// pass makes the pass of a tick. A source that could not be opened before is
// opened now.
func (s *openedSource) pass(ctx context.Context, db *pg.DB, tick time.Time) {
	if s.archiver == nil {
		if err := s.open(ctx); err != nil {
			if ctx.Err() == nil {
				s.flags.metrics.NotOpened(s.flags.Provider)
			}
			s.log.Error(notOpened, archive.ErrorKeys(err)...)
			return
		}
		s.into(db, func(archive.Function) bool { return true })
	}
	pass(ctx, s.archiver, runOrder(tick)(s), s.log)
}

// pass makes one pass and says how it went. Whatever could not be archived is
// due again at the next tick.
func pass(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger) {
	began := archiver.Clock.Now()
	summary, err := archiver.Archive(ctx, o, new(archive.Progress))
	took := archiver.Clock.Now().Sub(began)
	logEnd(log, slog.LevelError, o, summary, took, err)
}
