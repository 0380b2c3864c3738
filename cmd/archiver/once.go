package main

import (
	"context"
	"time"

	"archiver/internal/archive"
)

// dueFlags say which windows are due by themselves.
type dueFlags struct {
	VerifyAfter time.Duration `default:"6h" help:"When the counts of complete windows are compared with the source's once more; 0 for never."`
	Lookback    time.Duration `default:"30d" help:"How far back windows are due; as long as the source keeps its records."`
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
func (c *onceCommand) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	log := c.logger(s.err)
	c.NoMigrate = c.NoMigrate || c.DryRun
	stopProfiles, err := c.profiles(log)
	if err != nil {
		return err
	}
	defer stopProfiles()
	archiver, store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	o := c.order("once", archiver.Clock.Now(), archiver.Settle)
	if c.DryRun {
		return dryRun(ctx, archiver, store, o, c.dropBefore(o, archiver.Clock.Now()), s.out)
	}
	makeAhead(ctx, store, archiver.Clock.Now(), log)
	stop := figuresMeanwhile(ctx, store, archiver.Clock, log)
	err = archiveShown(ctx, archiver, o, log, s)
	stop()
	upkeep(ctx, store, c.dropBefore(o, archiver.Clock.Now()), log)
	return err
}
