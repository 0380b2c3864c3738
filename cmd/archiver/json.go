package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"archiver/internal/archive"
	"archiver/internal/supervise"
)

// printJSON prints a value for programs. docs/json.md describes the values.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// A runReports is what once, backfill and verify print with --json.
type runReports struct {
	Runs []supervise.RunReport `json:"runs"`

	mu sync.Mutex
}

// note adds the run of a source. The sources run at the same time.
func (r *runReports) note(run supervise.RunReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Runs = append(r.Runs, run)
}

// print prints the runs by the names of the sources, with those of sources that could not be
// opened. It returns the error that the runs ended with, or else that of printing.
func (r *runReports) print(w io.Writer, sources []*supervise.Source, order func(*supervise.Source) archive.Order, ended error) error {
	for _, s := range sources {
		if s.Archiver == nil {
			o := order(s)
			r.note(s.Report(o, archive.Summary{Range: o.Range}, 0, s.Err))
		}
	}
	slices.SortFunc(r.Runs, func(a, b supervise.RunReport) int { return cmp.Compare(a.Source, b.Source) })
	return cmp.Or(ended, printJSON(w, r))
}

// archiveEach makes one run of each source, and prints it as JSON or else as a line.
func archiveEach(ctx context.Context, set *supervise.Set, order func(*supervise.Source) archive.Order, log *slog.Logger, s streams, line typed, asJSON bool) error {
	clock := archive.SystemClock{}
	if !asJSON {
		return set.ArchiveEach(ctx, clock, order, log, s.out, s.err, line.String(), nil)
	}
	reports := &runReports{Runs: []supervise.RunReport{}}
	err := set.ArchiveEach(ctx, clock, order, log, io.Discard, s.err, "", reports.note)
	return reports.print(s.out, set.Sources, order, err)
}
