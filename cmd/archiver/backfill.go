package main

import (
	"context"
	"io"
	"time"

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

// span returns the range that is asked for at a time.
func (f *rangeFlags) span(now time.Time) (archive.Span, error) {
	if !f.From.Before(f.To.Time) {
		return archive.Span{}, settings.Usagef("--from must be before --to")
	}
	if f.From.After(now) {
		return archive.Span{}, settings.Usagef("--from %s lies in the future, now it is %s", f.From.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return archive.Span{From: f.From.Time, To: f.To.Time}, nil
}

// backfillCommand archives a range of hours.
type backfillCommand struct {
	settings.ArchiveFlags
	rangeFlags
	Force  bool `help:"Read complete windows again as well."`
	JSON   bool `name:"json" xor:"form" help:"For programs."`
	DryRun bool `xor:"form" help:"Show what is due, and how many calls it takes at least; and about how many rows, bytes and how much time; write nothing and ask the source only for its list of functions and for counts."`
}

func (c *backfillCommand) Run(ctx context.Context, s streams, in *settings.Settings, line typed) error {
	s.err = terminal.NewConsole(s.err)
	now := archive.SystemClock{}.Now()
	span, err := c.span(now)
	if err != nil {
		return err
	}
	log := c.Logger(s.err)
	order := archive.Order{AskedBy: "backfill", Range: span, Force: c.Force, FollowRange: true}
	options := supervise.Options{Log: log, Migrate: !c.NoMigrate && !c.DryRun, Functions: c.Function}
	if !c.DryRun {
		options.Order = func(*supervise.Source) archive.Order { return order }
	}
	set, end, err := openArchive(ctx, &c.ArchiveFlags, in, options)
	if err != nil {
		return err
	}
	defer end()
	set.WarnOfRange(span, now)
	if c.DryRun {
		return set.Each(ctx, s.out, s.err, func(ctx context.Context, source *supervise.Source, out, _ io.Writer) error {
			return set.DryBackfill(ctx, source, order, out)
		})
	}
	return archiveEach(ctx, set, func(*supervise.Source) archive.Order { return order }, log, s, line, c.JSON)
}
