package main

import (
	"context"
	"io"

	"archiver/internal/archive"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// onceCommand archives everything that is due, then ends.
type onceCommand struct {
	settings.ArchiveFlags
	settings.DueFlags
	JSON   bool `name:"json" xor:"form" help:"For programs."`
	DryRun bool `xor:"form" help:"Show what is due, and what --retention would drop; write nothing and ask the source for nothing, or only for its list of functions and for counts if the archive knows no function."`
}

// Source returns the source that the flags describe.
func (c *onceCommand) Source() settings.Source {
	s := c.ArchiveFlags.Source()
	s.DueFlags = c.DueFlags
	return s
}

func (c *onceCommand) Run(ctx context.Context, s streams, in *settings.Settings, line typed) error {
	s.err = terminal.NewConsole(s.err)
	log := c.Logger(s.err)
	clock := archive.SystemClock{}
	now := clock.Now()
	order := func(source *supervise.Source) archive.Order { return source.DueOrder("once", now) }
	options := supervise.Options{Log: log, Migrate: !c.NoMigrate && !c.DryRun}
	if !c.DryRun {
		options.Order = order
	}
	set, end, err := openArchive(ctx, &c.ArchiveFlags, in, options)
	if err != nil {
		return err
	}
	defer end()
	if c.DryRun {
		err := set.Each(ctx, s.out, s.err, func(ctx context.Context, source *supervise.Source, out, _ io.Writer) error {
			return set.DryRun(ctx, source, order(source), out)
		})
		if err != nil {
			return err
		}
		return set.DryDrop(ctx, clock, s.out)
	}
	set.Maintenance(clock).MakeDays(ctx, log)
	return archiveEach(ctx, set, order, log, s, line, c.JSON)
}
