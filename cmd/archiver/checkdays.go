package main

import (
	"context"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/supervise"
)

// checkDays tells what disk a merge of days takes, and whether the server has room for
// the locks of queries over all days.
func checkDays(ctx context.Context, report *checkReport, sources []*supervise.Source, db *pg.DB) {
	months, err := supervise.NewRetention(db, sources, archive.SystemClock{}).Unmerged(ctx)
	if err != nil {
		report.fail("days", "%v", err)
		return
	}
	var disk int64
	merged := 0
	for _, m := range months {
		if m.Stay != nil {
			report.ok("days", "the days of %s are not merged: %v", m, m.Stay)
			continue
		}
		disk = max(disk, m.Bytes)
		merged++
	}
	if merged > 0 {
		report.ok("days", "the next pass merges the days of %d months, one month after the other; it takes up to %d bytes of disk until it ends", merged, disk)
	}
	locks, err := days.New(db).Locks(ctx)
	switch {
	case err != nil:
		report.fail("days", "%v", err)
	case locks.Needed() > 0:
		report.warn("days", "a query over all days takes %d locks, and the server has room for %d: set max_locks_per_transaction = %d, or such queries fail with out of shared memory", locks.Query, locks.Room, locks.Needed())
	}
}
