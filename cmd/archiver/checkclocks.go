package main

import (
	"context"
	"slices"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
	"archiver/internal/supervise"
)

// checkClocks compares the clocks as each pass does. db is nil if it cannot be reached.
func checkClocks(ctx context.Context, report *checkReport, sources []*supervise.Source, db *pg.DB) {
	for _, s := range sources {
		if s.Archiver == nil {
			continue
		}
		report.source = s.Name
		archiver := *s.Archiver
		if db != nil {
			archiver.StoreAhead = db.Ahead
		}
		clocks, err := archiver.Clocks(ctx)
		if err == nil {
			err = clocks.Check(s.Settle)
		}
		switch doubt := clocks.Doubt(s.Settle); {
		case err != nil:
			report.fail("clocks", "%v", err)
		case doubt != "":
			report.warn("clocks", "%s", doubt)
		default:
			report.ok("clocks", "%s", clocks)
		}
	}
	report.source = ""
}

// checkRetention says what the next pass drops, before it is gone.
func checkRetention(ctx context.Context, report *checkReport, sources []*supervise.Source, db *pg.DB) {
	if slices.ContainsFunc(sources, func(s *supervise.Source) bool { return s.Retention == 0 }) {
		return
	}
	next, err := supervise.NewRetention(db, sources, archive.SystemClock{}).Next(ctx)
	switch {
	case err != nil:
		report.fail("retention", "%v", err)
	case next == nil:
		report.warn("retention", "nothing is dropped: a source of the archive has no complete hour")
	case next.Extra > 0:
		report.warn("retention", "%s; %s", next, next.Warning())
	default:
		report.ok("retention", "%s", next)
	}
}
