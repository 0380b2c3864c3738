package supervise

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

// Archive makes one run that a person waits for. It shows the progress on w, or in
// the log if w is no terminal.
func Archive(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, w io.Writer) (archive.Summary, time.Duration, error) {
	return archiveAnd(ctx, archiver, o, log, w, nil)
}

// archiveAnd is Archive. last is the last part of the run, whose progress is shown too; it
// is told how the run ended, and may be nil.
func archiveAnd(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, w io.Writer,
	last func(p *archive.Progress, ended error),
) (archive.Summary, time.Duration, error) {
	began := time.Now()
	progress := new(archive.Progress)
	if last != nil {
		days := int(o.Range.To.Sub(o.Range.From).Hours()/24) + 1
		progress.Foresee(func(f *archive.Forecast) { f.Days = days })
	}
	stop := terminal.Show(progress, archiver.Source, w, log, o.Compare)
	stopHint := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), archive.ErrFinish) {
			fmt.Fprintln(w, "archiver: finishing the pages in hand; Ctrl-C again stops at once")
		}
	})
	summary, err := archiver.Archive(ctx, o, progress)
	if last != nil {
		last(progress, err)
	}
	stopHint()
	bar := stop()
	took := time.Since(began)
	if !bar { // on a terminal, the command's last line has the same numbers
		logEnd(log, slog.LevelWarn, o, summary, took, err)
	}
	return summary, took, err
}

// logEnd logs the end of a run. failed is the level of an error other than windows
// that are not complete.
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
	case errors.Is(err, archive.ErrNoFunction):
		log.Warn("run ended, the source has none of the functions", keys...)
	case errors.Is(err, archive.ErrBusy):
		log.Warn("run ended, the source accepts no calls, windows are pending", append(keys, archive.ErrorKeys(err)...)...)
	default:
		log.Log(context.Background(), failed, "run failed", append(keys, archive.ErrorKeys(err)...)...)
	}
}

// summaryKeys returns the numbers of a run for the log.
func summaryKeys(s archive.Summary, took time.Duration) []any {
	return []any{
		"windows", s.Windows, "complete", s.Complete, "short", s.Short, "failed", s.Failed, "gone", s.Gone,
		"expired", s.Expired, "missed", s.Missed, "waiting", s.Waiting,
		"compared", s.Compared, "functions", s.Functions, "records", s.Records(), "inserted", s.Inserted, "updated", s.Updated,
		"rejected", s.Rejected, "differed", s.Differ, "calls", s.Calls, "throttled", s.Refused, "seconds", took.Seconds(),
	}
}
