package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"archiver/internal/archive"
	"archiver/internal/loop"
	"archiver/internal/terminal"
)

// errNoFunction says that there was nothing to do, which nobody asks for.
var errNoFunction = errors.New("no function was found: check the project, the region, and --function or ARCHIVER_FUNCTIONS")

// archiveShown archives with a progress bar on a terminal and a log line every
// few seconds elsewhere, and prints a last line to paste into a ticket. again is
// the command that goes on where something is missing.
func archiveShown(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, s streams, again typed) error {
	summary, took, err := watch(ctx, archiver, o, log, s.err)
	fmt.Fprintln(s.out, summaryLine(o, summary, took, err, again))
	return err
}

// watch archives and shows how far it has come.
func watch(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, w io.Writer) (archive.Summary, time.Duration, error) {
	began := time.Now()
	progress := new(archive.Progress)
	stop := terminal.Show(progress, archiver.Source, w, log, o.Compare)
	told := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), archive.ErrFinish) {
			fmt.Fprintln(w, "archiver: finishing the pages in hand; Ctrl-C again stops at once")
		}
	})
	summary, err := archiver.Archive(ctx, o, progress)
	told()
	bar := stop()
	took := time.Since(began)
	if !bar { // the last line says the same
		logEnd(log, slog.LevelWarn, o, summary, took, err)
	}
	if err == nil && summary.Matched == 0 {
		err = errNoFunction
	}
	return summary, took, err
}

// summaryLine is a run in one line.
func summaryLine(o archive.Order, s archive.Summary, took time.Duration, err error, again typed) string {
	line := fmt.Sprintf("%s %s: %d of %d windows complete, %d functions, %d new records, %d changed, %d as they were, %d calls, %s",
		o.AskedBy, s.Range, s.Complete, s.Windows, s.Functions, s.Inserted, s.Updated, s.Unchanged, s.Calls, took.Round(time.Millisecond))
	for _, part := range []struct {
		n    int64
		what string
	}{
		{s.Short, "windows short"}, {s.Failed, "windows failed"}, {s.Gone, "windows gone"},
		{s.Windows - s.Done - s.Elsewhere, "windows not reached"},
		{int64(s.NotDue), "windows not settled yet"}, {s.Elsewhere, "windows done by another worker"},
		{s.Differ, "windows differed and were read again"}, {s.Left, "questions left to the next run"},
		{s.Rejected, "records rejected"}, {s.Refused, "calls throttled"},
	} {
		if part.n > 0 {
			line += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if err != nil && !errors.Is(err, errNoFunction) && len(again) > 0 {
		line += "; to go on: " + again.String()
	}
	return line
}

// logEnd is a run in one line of the log. failed is the level of one that ended
// with an error other than windows that are not complete.
func logEnd(log *slog.Logger, failed slog.Level, o archive.Order, s archive.Summary, took time.Duration, err error) {
	keys := append([]any{"run_id", s.Run, "asked_by", o.AskedBy, "from", s.Range.From.Format(time.RFC3339), "to", s.Range.To.Format(time.RFC3339)}, summaryKeys(s, took)...)
	var incomplete *archive.IncompleteError
	switch {
	case err == nil:
		log.Info("run ended", keys...)
	case errors.Is(err, archive.ErrInterrupted):
		log.Info("run was interrupted, progress is kept", keys...)
	case errors.As(err, &incomplete):
		log.Warn("run ended, not complete", append(keys, archive.ErrorKeys(err)...)...)
	default:
		log.Log(context.Background(), failed, "run failed", append(keys, archive.ErrorKeys(err)...)...)
	}
}

// summaryKeys are the numbers of a run for the log.
func summaryKeys(s archive.Summary, took time.Duration) []any {
	return []any{
		"windows", s.Windows, "complete", s.Complete, "short", s.Short, "failed", s.Failed, "gone", s.Gone,
		"compared", s.Compared, "functions", s.Functions, "records", s.Records(), "inserted", s.Inserted, "updated", s.Updated,
		"rejected", s.Rejected, "differed", s.Differ, "calls", s.Calls, "throttled", s.Refused, "seconds", took.Seconds(),
	}
}
