package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"archiver/internal/archive"
	"archiver/internal/loop"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// verifyCommand compares the archive's counts with the source's.
type verifyCommand struct {
	settings.ArchiveFlags
	rangeFlags
	Repair bool `help:"Read again what differs."`
}

func (c *verifyCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	s.err = terminal.NewConsole(s.err)
	clock := archive.SystemClock{}
	now := clock.Now()
	span, err := c.span(now)
	if err != nil {
		return err
	}
	log := c.Logger(s.err)
	order := archive.Order{AskedBy: "verify", Compare: true, Repair: c.Repair, Range: span}
	set, end, err := openArchive(ctx, &c.ArchiveFlags, in, supervise.Options{
		Log: log, Migrate: !c.NoMigrate, Functions: c.Function,
		Order: func(*supervise.Source) archive.Order { return order },
	})
	if err != nil {
		return err
	}
	defer end()
	set.WarnOfRange(span, now)
	err = set.Each(ctx, s.out, s.err, func(ctx context.Context, source *supervise.Source, out, errs io.Writer) error {
		return verify(ctx, source.Archiver, order, source.Log, out, errs)
	})
	if c.Repair && ctx.Err() == nil {
		m := set.Maintenance(clock)
		m.Count(ctx, log)
	}
	return err
}

// verify compares the counts of one source, and prints the windows that differ.
func verify(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, out, errs io.Writer) error {
	summary, took, err := supervise.Archive(ctx, archiver, o, log, errs)
	table := terminal.Table{Columns: terminal.Heads("FUNCTION", "WINDOW", "ARCHIVED", "SOURCE COUNTS")}
	for _, d := range summary.Differences {
		counted := fmt.Sprint(d.Counted)
		if d.Counted < 0 {
			counted = "cannot be compared"
		}
		table.Add(d.Function.Name, d.Window.Format(time.RFC3339), fmt.Sprint(d.Archived), counted)
	}
	if failed := table.Write(out, 0); failed != nil && err == nil {
		err = fmt.Errorf("print what differs: %w", failed)
	}
	if more := int(summary.Differ) - len(summary.Differences); more > 0 {
		fmt.Fprintf(out, "… and %d more, in the log\n", more)
	}
	fmt.Fprintf(out, "%s: %d windows compared, %d differ, %d read again, %d calls, %s\n", summary.Range,
		summary.Compared, summary.Differ, summary.Done, summary.Calls, took.Round(time.Millisecond))
	return err
}
