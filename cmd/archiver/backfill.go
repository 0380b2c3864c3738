package main

import (
	"context"
	"io"

	"archiver/internal/archive"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// rangeFlags name a range of hours, and functions.
type rangeFlags struct {
	From     settings.Hour `required:"" placeholder:"TIME" help:"First hour, RFC 3339 or a date; UTC without a zone."`
	To       settings.Hour `required:"" placeholder:"TIME" help:"The hour after the last."`
	Function []string      `type:"globs" placeholder:"GLOB" help:"Only functions whose name or URN matches; repeatable."`
}

func (f *rangeFlags) span() (archive.Span, error) {
	if !f.From.Before(f.To.Time) {
		return archive.Span{}, settings.Usagef("--from must be before --to")
	}
	return archive.Span{From: f.From.Time, To: f.To.Time}, nil
}

// backfillCommand archives a range of hours.
type backfillCommand struct {
	settings.ArchiveFlags
	rangeFlags
	Force  bool `help:"Read complete windows again as well."`
	DryRun bool `help:"Show what is due, and how many calls it takes at least; write nothing and ask the source only for its list of functions."`
}

func (c *backfillCommand) Run(ctx context.Context, s streams, in *settings.Settings, line typed) error {
	s.err = terminal.NewConsole(s.err)
	span, err := c.span()
	if err != nil {
		return err
	}
	log := c.Logger(s.err)
	set, end, err := openArchive(ctx, &c.ArchiveFlags, in, supervise.Options{Log: log, Migrate: !c.NoMigrate && !c.DryRun, Functions: c.Function})
	if err != nil {
		return err
	}
	defer end()
	order := archive.Order{AskedBy: "backfill", Range: span, Force: c.Force}
	if c.DryRun {
		return set.Each(ctx, s.out, s.err, func(ctx context.Context, source *supervise.Source, out, _ io.Writer) error {
			return set.DryBackfill(ctx, source, order, out)
		})
	}
	clock := archive.SystemClock{}
	m, now := set.Maintenance(clock), clock.Now()
	stopCounting := m.CountDuring(ctx, log)
	err = set.Each(ctx, s.out, s.err, func(ctx context.Context, source *supervise.Source, out, errs io.Writer) error {
		return m.ArchiveAndTell(ctx, source.Archiver, order, source.Log, out, errs, line.String())
	})
	stopCounting()
	m.After(ctx, now, err, log)
	return err
}
