package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"archiver/internal/archive"
	"archiver/internal/loop"
	"archiver/internal/terminal"
)

// verifyCommand compares the archive's counts with the source's.
type verifyCommand struct {
	archiveFlags
	rangeFlags
	Repair bool `help:"Read again what differs."`
}

// Run is called by the command line.
func (c *verifyCommand) Run(ctx context.Context, s streams, in *inForce) error {
	s.err = terminal.NewConsole(s.err)
	span, err := c.span()
	if err != nil {
		return err
	}
	log := c.logger(s.err)
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
	err = set.each(ctx, s, func(ctx context.Context, o *openedSource, s streams) error {
		return verify(ctx, o.archiver, archive.Order{AskedBy: "verify", Compare: true, Repair: c.Repair, Range: span}, o.log, s)
	})
	if c.Repair && ctx.Err() == nil {
		countFigures(ctx, set.db, archive.SystemClock{}, 0, log)
	}
	return err
}

// verify compares, and prints what differs.
func verify(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, s streams) error {
	summary, took, err := watch(ctx, archiver, o, log, s.err)

	table := terminal.Table{Head: []string{"FUNCTION", "WINDOW", "ARCHIVED", "SOURCE COUNTS"}}
	for _, d := range summary.Differences {
		counted := fmt.Sprint(d.Counted)
		if d.Counted < 0 {
			counted = "cannot be compared"
		}
		table.Add(d.Function.Name, d.Window.Format(time.RFC3339), fmt.Sprint(d.Archived), counted)
	}
	if failed := table.Write(s.out, 0); failed != nil && err == nil {
		err = fmt.Errorf("print what differs: %w", failed)
	}
	if more := int(summary.Differ) - len(summary.Differences); more > 0 {
		fmt.Fprintf(s.out, "… and %d more, in the log\n", more)
	}
	fmt.Fprintf(s.out, "%s: %d windows compared, %d differ, %d read again, %d calls, %s\n", summary.Range,
		summary.Compared, summary.Differ, summary.Done, summary.Calls, took.Round(time.Millisecond))
	return err
}
