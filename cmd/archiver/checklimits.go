package main

import (
	"context"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/page"
	"archiver/internal/settings"
	"archiver/internal/supervise"
)

// checkLimits tells what was learned of the sources, and whether they keep records as long
// as hours are due.
func checkLimits(ctx context.Context, report *checkReport, sources []*supervise.Source, reader *read.Archive) {
	var limits []read.Limit
	err := reader.Snapshot(ctx, func(s *read.Snapshot) (err error) {
		limits, err = s.Limits(ctx, archive.SystemClock{}.Now())
		return err
	})
	if err != nil {
		report.fail("limits", "%v", err)
		return
	}
	for _, s := range sources {
		report.source = s.Name
		if s.Lookback > s.SourceRetention {
			report.warn("lookback", "--lookback %s is longer than --source-retention %s: hours older than that are due, and the source has forgotten them",
				settings.DurationText(s.Lookback), settings.DurationText(s.SourceRetention))
		}
		for i := range limits {
			l := &limits[i]
			edge := time.Duration(l.Value) * time.Second
			if l.What == string(archive.LearnedEdge) && l.FunctionURN == nil && edge < s.Lookback && s.Archiver != nil &&
				s.Archiver.Source.ID() == (archive.SourceID{Provider: l.Provider, Region: l.Region, ProjectID: l.Project}) {
				report.warn("lookback", "the source answers for the last %s only, and --lookback is %s", settings.DurationText(edge), settings.DurationText(s.Lookback))
			}
		}
	}
	report.source = ""
	ofFunctions := 0
	for i := range limits {
		if l := &limits[i]; l.FunctionURN != nil {
			ofFunctions++
		} else {
			report.ok("learned of "+page.SourceText(l), "%s: %s, since %s", page.LimitText(l), l.Meaning, l.Learned.Format(time.RFC3339))
		}
	}
	if ofFunctions > 0 {
		report.ok("limits", "%d of single functions: archiver limits lists them", ofFunctions)
	}
}
