package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/schollz/progressbar/v3"

	"archiver/internal/archive"
)

const (
	barInterval = 100 * time.Millisecond
	logInterval = 5 * time.Second
)

// errNoFunction says that there was nothing to do, which nobody asks for.
var errNoFunction = errors.New("no function was found: check the project, the region, and --function or ARCHIVER_FUNCTIONS")

// archiveShown archives with a progress bar on a terminal and a log line every
// few seconds elsewhere, and prints a last line to paste into a ticket.
func archiveShown(ctx context.Context, archiver *archive.Archiver, o archive.Order, log *slog.Logger, s streams) error {
	began := time.Now()
	progress := new(archive.Progress)
	stop := show(progress, archiver.Source, s.err, log)
	summary, err := archiver.Archive(ctx, o, progress)
	stop()
	fmt.Fprintln(s.out, summaryLine(summary, time.Since(began)))
	if err == nil && summary.Matched == 0 {
		return errNoFunction
	}
	return err
}

// show reports progress until the function it returns is called.
func show(p *archive.Progress, source archive.Source, w io.Writer, log *slog.Logger) (stop func()) {
	interval, report, end := logInterval, logReport(p, source, log), func() {}
	if isTerminal(w) {
		interval = barInterval
		report, end = barReport(p, w)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				report()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		end()
	}
}

func logReport(p *archive.Progress, source archive.Source, log *slog.Logger) func() {
	return func() {
		t := p.Totals()
		log.Info("archiving", "windows_done", t.Done, "windows", t.Windows,
			"records", t.Records(), "calls", source.Stats().Calls)
	}
}

func barReport(p *archive.Progress, w io.Writer) (report, end func()) {
	bar := progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("windows"),
		progressbar.OptionShowCount(),
		progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(0),
		progressbar.OptionClearOnFinish(),
	)
	report = func() {
		t := p.Totals()
		if t.Windows == 0 {
			return // what is due is not known yet
		}
		bar.ChangeMax64(t.Windows)
		bar.Describe(fmt.Sprintf("windows, %d records", t.Records()))
		// A bar that cannot be drawn is no reason to stop archiving.
		_ = bar.Set64(t.Done)
	}
	return report, func() { _ = bar.Finish() }
}

// summaryLine is a run in one line.
func summaryLine(s archive.Summary, took time.Duration) string {
	line := fmt.Sprintf("%s: %d of %d windows complete, %d functions, %d new records, %d changed, %d as they were, %d calls, %s",
		s.Range, s.Complete, s.Windows, s.Functions, s.Inserted, s.Updated, s.Unchanged, s.Calls, took.Round(time.Millisecond))
	for _, part := range []struct {
		n    int64
		what string
	}{
		{s.Short, "windows short"}, {s.Failed, "windows failed"}, {s.Gone, "windows gone"},
		{int64(s.NotDue), "windows not settled yet"}, {s.Elsewhere, "windows done by another worker"},
		{s.Differ, "windows differed and were read again"}, {s.Left, "questions left to the next run"},
		{s.Rejected, "records rejected"}, {s.Refused, "calls throttled"},
	} {
		if part.n > 0 {
			line += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	return line
}

// summaryKeys are the same for the log.
func summaryKeys(s archive.Summary, took time.Duration) []any {
	return []any{
		"windows", s.Windows, "complete", s.Complete, "short", s.Short, "failed", s.Failed, "gone", s.Gone,
		"functions", s.Functions, "records", s.Records(), "new", s.Inserted, "changed", s.Updated,
		"rejected", s.Rejected, "differed", s.Differ, "calls", s.Calls, "throttled", s.Refused, "seconds", took.Seconds(),
	}
}
