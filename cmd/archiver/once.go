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
}

// Run is called by the command line.
func (c *onceCommand) Run(ctx context.Context, s streams) error {
	log := c.logger(s.err)
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
	return archiveShown(ctx, archiver, c.order("once", archiver.Clock.Now(), archiver.Settle), log, s)
}
