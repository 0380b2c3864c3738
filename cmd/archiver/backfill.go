package main

import (
	"context"
	"time"

	"archiver/internal/archive"
	"archiver/internal/terminal"
)

// rangeFlags name hours of some functions.
type rangeFlags struct {
	From     hour     `required:"" placeholder:"TIME" help:"First hour, RFC 3339 or a date; UTC without a zone."`
	To       hour     `required:"" placeholder:"TIME" help:"The hour after the last."`
	Function []string `placeholder:"GLOB" help:"Only functions whose name or URN matches; repeatable."`
}

func (f *rangeFlags) span() (archive.Span, error) {
	if !f.From.Before(f.To.Time) {
		return archive.Span{}, usagef("--from must be before --to")
	}
	return archive.Span{From: f.From.Time, To: f.To.Time}, nil
}

// backfillCommand archives a range of hours.
type backfillCommand struct {
	archiveFlags
	rangeFlags
	Force  bool `help:"Read complete windows again as well."`
	DryRun bool `help:"Show what is due, and how many calls it takes at least; write nothing and ask the source for its list of functions alone."`
}

// Run is called by the command line.
func (c *backfillCommand) Run(ctx context.Context, s streams, in *inForce, line typed) error {
	s.err = terminal.NewConsole(s.err)
	span, err := c.span()
	if err != nil {
		return err
	}
	log := c.logger(s.err)
	c.NoMigrate = c.NoMigrate || c.DryRun
	stopProfiles, err := c.profiles(log)
	if err != nil {
		return err
	}
	defer stopProfiles()
	set, err := in.open(ctx, log, c.Function...)
	if err != nil {
		return err
	}
	defer set.db.Close()
	order := archive.Order{AskedBy: "backfill", Range: span, Force: c.Force}
	if c.DryRun {
		return set.each(ctx, s, func(ctx context.Context, o *openedSource, s streams) error {
			return dryBackfill(ctx, o.archiver, set.db, order, s.out)
		})
	}
	stop := figuresMeanwhile(ctx, set.db, archive.SystemClock{}, log)
	err = set.each(ctx, s, func(ctx context.Context, o *openedSource, s streams) error {
		return archiveShown(ctx, o.archiver, order, o.log, s, line)
	})
	stop()
	upkeep(ctx, set.db, 0, time.Time{}, log)
	return err
}
