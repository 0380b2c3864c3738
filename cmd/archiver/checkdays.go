package main

import (
	"context"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
)

// checkDays tells what disk a merge of days takes, and whether the server has room for
// the locks of queries over all days.
func checkDays(ctx context.Context, report *checkReport, db *pg.DB) {
	all := days.New(db)
	all.UseClock(archive.SystemClock{})
	months, err := all.Unmerged(ctx)
	if err != nil {
		report.fail("days", "%v", err)
		return
	}
	var disk int64
	for _, m := range months {
		disk = max(disk, m.Bytes)
	}
	if len(months) > 0 {
		report.ok("days", "the next pass merges the days of %d months, one month after the other; it takes up to %d bytes of disk until it ends", len(months), disk)
	}
	locks, err := all.Locks(ctx)
	switch {
	case err != nil:
		report.fail("days", "%v", err)
	case locks.Needed() > 0:
		report.warn("days", "a query over all days takes %d locks, and the server has room for %d: set max_locks_per_transaction = %d, or such queries fail with out of shared memory", locks.Query, locks.Room, locks.Needed())
	}
}
