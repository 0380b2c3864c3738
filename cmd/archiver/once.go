package main

import (
	"context"
	"time"

	"archiver/internal/archive"
	"archiver/internal/terminal"
)

// dueFlags say which windows are due by themselves.
type dueFlags struct {
	VerifyAfter time.Duration `default:"6h" group:"source" help:"When the counts of complete windows are compared with the source's once more; 0 for never."`
	Lookback    time.Duration `default:"30d" group:"source" help:"How far back windows are due; as long as the source keeps its records."`
	Retention   time.Duration `placeholder:"400d" help:"Days that ended longer ago are dropped after each pass; 0 for never."`
}

// check refuses a retention that drops what the next pass reads again.
func (f *dueFlags) check() error {
	if f.Retention > 0 && f.Retention < f.Lookback {
		return usagef("--retention %s is shorter than --lookback %s: every pass would read again what the last one dropped",
			inDays(f.Retention), inDays(f.Lookback))
	}
	return nil
}

// order asks for every window that is due now, for older ones begun, and for
// records in flight and counts whose time has come.
func (f *dueFlags) order(askedBy string, now time.Time, settle time.Duration) archive.Order {
	due := archive.DueBefore(now, settle)
	return archive.Order{
		AskedBy: askedBy, Older: true, Follow: true, VerifyAfter: f.VerifyAfter,
		Range: archive.Span{From: archive.WindowOf(due.Add(-f.Lookback)), To: due},
	}
}

// onceCommand makes one pass over everything due.
type onceCommand struct {
	archiveFlags
	dueFlags
	DryRun bool `help:"Show what is due, and what --retention would drop; write nothing and ask the source for nothing."`
}

// Run is called by the command line.
func (c *onceCommand) Run(ctx context.Context, s streams, in *inForce, line typed) error {
	s.err = terminal.NewConsole(s.err)
	for _, of := range in.sources {
		of.flags.NoMigrate = c.NoMigrate || c.DryRun
	}
	log := c.logger(s.err)
	stopProfiles, err := c.profiles(log)
	if err != nil {
		return err
	}
	defer stopProfiles()
	set, err := in.open(ctx, log)
	if err != nil {
		return err
	}
	defer set.db.Close()
	now := archive.SystemClock{}.Now()
	order := func(o *openedSource) archive.Order {
		return o.commands.Once.order("once", now, o.commands.Once.Settle)
	}
	before := set.dropBefore(now, func(c *commands) *dueFlags { return &c.Once.dueFlags }, order)
	if c.DryRun {
		err := set.each(ctx, s, func(ctx context.Context, o *openedSource, s streams) error {
			return dryRun(ctx, o.archiver, set.db, order(o), s.out)
		})
		if err != nil {
			return err
		}
		return dryDrop(ctx, set.db, before, s.out)
	}
	makeAhead(ctx, set.db, now, log)
	stop := figuresMeanwhile(ctx, set.db, archive.SystemClock{}, log)
	err = set.each(ctx, s, func(ctx context.Context, o *openedSource, s streams) error {
		return archiveShown(ctx, o.archiver, order(o), o.log, s, line)
	})
	stop()
	upkeep(ctx, set.db, 0, before, log)
	return err
}
