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
)

// ArchiveAndTell makes one run. It shows the progress on errs, and prints a last
// line to out that can be pasted into a ticket. If windows are missing, the line
// ends with the command that resumes the run; resume may be empty.
func ArchiveAndTell(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, out, errs io.Writer, resume string) error {
	summary, took, err := Archive(ctx, archiver, o, log, errs)
	fmt.Fprintln(out, summaryLine(o, summary, took, err, resume))
	return err
}

// ArchiveAndTell is ArchiveAndTell of a run that also counts all figures that are due, and
// merges the days of old months.
func (m *Maintenance) ArchiveAndTell(ctx context.Context, archiver *loop.Archiver, o archive.Order, log *slog.Logger, out, errs io.Writer, resume string) error {
	began := m.clock.Now()
	summary, took, err := archiveAnd(ctx, archiver, o, log, errs, func(p *archive.Progress, ended error) {
		m.leave(ctx, log, archiver.Patiently(ctx, func() error {
			return m.tryCount(ctx, 0, func(done, days int) {
				p.Update(func(t *archive.Totals) { t.Counted, t.FigureDays = int64(done), int64(days) })
			})
		}))
		m.merge(ctx, began, ended, log, func(done, months int) {
			p.Update(func(t *archive.Totals) { t.Merged, t.Months = int64(done), int64(months) })
		})
	})
	fmt.Fprintln(out, summaryLine(o, summary, took, err, resume))
	return err
}

// summaryLine tells a run in one line.
func summaryLine(o archive.Order, s archive.Summary, took time.Duration, err error, resume string) string {
	line := fmt.Sprintf("%s %s: %d of %d windows complete, %d functions, %d new records, %d changed, %d as they were, %d calls, %s",
		o.AskedBy, s.Range, s.Complete, s.Windows, s.Functions, s.Inserted, s.Updated, s.Unchanged, s.Calls, took.Round(time.Millisecond))
	for _, part := range []struct {
		n    int64
		what string
	}{
		{s.Short, "windows short"}, {s.Failed, "windows failed"}, {s.Gone, "windows gone"},
		{s.Expired - s.Missed, "windows expired"}, {s.Missed, "windows missed: they expired before they were read"},
		{int64(s.Waiting), "windows that failed before wait"},
		{s.Throttled, "windows of throttled functions pending"}, {s.Windows - s.Done - s.Elsewhere - s.Throttled, "windows not reached"},
		{int64(s.NotDue), "windows not settled yet"}, {s.Elsewhere, "windows done by another worker"},
		{s.Differ, "windows differed and were read again"}, {s.Left, "checks left to the next run"},
		{s.Rejected, "records rejected"}, {s.Refused, "calls throttled"},
	} {
		if part.n > 0 {
			line += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if s.List != nil {
		line += ", the list of functions is not whole"
	}
	if err != nil && !errors.Is(err, archive.ErrNoFunction) && resume != "" {
		line += "; to resume: " + resume
	}
	return line
}
