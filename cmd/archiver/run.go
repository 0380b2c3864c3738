package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/load/read"
	"archiver/internal/metrics"
	"archiver/internal/page"
	"archiver/internal/serve"
	"archiver/internal/settings"
	"archiver/internal/sources"
	"archiver/internal/supervise"
)

// runCommand stays up.
type runCommand struct {
	settings.ArchiveFlags
	settings.DueFlags
	Schedule      string `type:"cron" default:"7 * * * *" group:"source" help:"When to archive: cron, five fields, UTC."`
	NoInitialPass bool   `help:"Begin at the first tick of the schedule, and not at once."`
	Listen        string `type:"address" default:"127.0.0.1:8080" help:"Address of health, metrics and status; empty for none."`
}

// Source returns the source that the flags describe.
func (c *runCommand) Source() settings.Source {
	s := c.ArchiveFlags.Source()
	s.DueFlags, s.Schedule = c.DueFlags, c.Schedule
	return s
}

// webGrace is how long the end of run waits for pages that are being sent.
const webGrace = time.Second

// Run returns nil after a signal.
func (c *runCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	log := c.Logger(s.err)
	m := metrics.New(release)
	for i := range in.Sources {
		source := &in.Sources[i]
		m.Begin(sources.Name(source), extract.Outcomes, source.Lookback, source.SourceRetention)
	}
	set, end, err := openArchive(ctx, &c.ArchiveFlags, in, supervise.Options{
		Log: log, Metrics: m, Migrate: !c.NoMigrate,
		Order: func(source *supervise.Source) archive.Order { return source.RunOrder(archive.SystemClock{}.Now()) },
	})
	if err != nil && errors.Is(context.Cause(ctx), archive.ErrInterrupted) {
		return nil // nothing has begun yet
	}
	if err != nil {
		return err
	}
	defer end()
	reader := read.New(set.DB)
	m.Watch(reader, keptFor(0), archive.SystemClock{}, log)
	if c.Listen != "" {
		handler := webPages(reader.Ping, statusPage(reader, keptFor(0), log), m, log)
		web, err := serve.Start(context.WithoutCancel(ctx), serve.Options{Address: c.Listen, Handler: handler, Grace: webGrace, Log: log})
		if err != nil {
			return fmt.Errorf("%w (set --listen to another address)", err)
		}
		defer web.Stop()
	}
	for _, source := range set.Sources {
		source.Log.Info("archiver is up", "schedule", source.Schedule, "settle", source.Settle.String(), "address", c.Listen)
		if source.Err != nil {
			source.LogNotOpened()
		}
	}
	if err := set.Run(ctx, archive.SystemClock{}, !c.NoInitialPass); err != nil {
		return err
	}
	log.Info("archiver ended, what it was doing is kept")
	return nil
}

// webPages serves what run shows. All of it only reads.
//
//	/healthz     200 while the process answers
//	/readyz      200 while the database answers and has the schema, else 503
//	/metrics     the process and the archive, for Prometheus
//	/            the status page
//	/api/status  its facts, as archiver status --json prints them
func webPages(ping func(context.Context) error, status *page.Page, m *metrics.Metrics, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", serve.Health())
	mux.Handle("GET /readyz", serve.Ready(ping, archive.SystemClock{}, log))
	mux.Handle("GET /metrics", m.Handler(log))
	mux.Handle("GET /{$}", status)
	mux.HandleFunc("GET /api/status", status.ServeStatus)
	return mux
}

// openArchive opens the sources and the database of a command, and serves profiles
// if --pprof asks for them. Call end at the end of the command.
func openArchive(ctx context.Context, f *settings.ArchiveFlags, in *settings.Settings, o supervise.Options) (set *supervise.Set, end func(), err error) {
	o.DatabasePatience = f.DatabasePatience
	stop := func() {}
	if f.Pprof != "" {
		if stop, err = serve.Profiles(f.Pprof, o.Log); err != nil {
			return nil, nil, fmt.Errorf("%w (set --pprof to another address)", err)
		}
	}
	if set, err = supervise.Open(ctx, in, o); err != nil {
		stop()
		return nil, nil, err
	}
	return set, func() { set.DB.Close(); stop() }, nil
}
