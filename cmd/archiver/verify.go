package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"archiver/internal/archive"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// verifyCommand compares the archive's counts with the source's.
type verifyCommand struct {
	settings.ArchiveFlags
	rangeFlags
	Repair bool `help:"Read again what differs."`
	JSON   bool `name:"json" help:"For programs."`
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
	reports := &runReports{Runs: []supervise.RunReport{}}
	err = set.Each(ctx, s.out, s.err, func(ctx context.Context, source *supervise.Source, out, errs io.Writer) error {
		summary, took, err := supervise.Archive(ctx, source.Archiver, order, source.Log, errs)
		reports.note(source.Report(order, summary, took, err))
		if c.JSON {
			return err
		}
		return cmp.Or(err, printDifferences(summary, took, out))
	})
	if c.Repair && ctx.Err() == nil {
		m := set.Maintenance(clock)
		m.Count(ctx, log)
	}
	if c.JSON {
		err = reports.print(s.out, set.Sources, func(*supervise.Source) archive.Order { return order }, err)
	}
	return err
}

// printDifferences prints the windows that differ, and what was compared.
func printDifferences(summary archive.Summary, took time.Duration, out io.Writer) error {
	table := terminal.Table{Columns: terminal.Heads("FUNCTION", "WINDOW", "ARCHIVED", "SOURCE COUNTS")}
	for _, d := range summary.Differences {
		counted := fmt.Sprint(d.Counted)
		if d.Counted < 0 {
			counted = "cannot be compared"
		}
		table.Add(d.Function.Name, d.Window.Format(time.RFC3339), fmt.Sprint(d.Archived), counted)
	}
	if err := table.Write(out, 0); err != nil {
		return fmt.Errorf("print what differs: %w", err)
	}
	if more := int(summary.Differ) - len(summary.Differences); more > 0 {
		fmt.Fprintf(out, "… and %d more, in the log\n", more)
	}
	fmt.Fprintf(out, "%s: %d windows compared, %d differ, %d read again, %d calls, %s\n", summary.Range,
		summary.Compared, summary.Differ, summary.Done, summary.Calls, took.Round(time.Millisecond))
	return nil
}
