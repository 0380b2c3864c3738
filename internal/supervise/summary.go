package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
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

// ArchiveEach makes one run of each source, as ArchiveAndTell does. Each run also counts all
// figures that are due, and merges the days of old months. The last one to end drops the days
// that are too old, and makes statistics. All of it is part of the progress that is shown.
// If note is set, it is told of each run, and nothing is printed.
func (set *Set) ArchiveEach(ctx context.Context, clock archive.Clock, order func(*Source) archive.Order, log *slog.Logger, out, errs io.Writer, resume string, note func(RunReport)) error {
	m, began := set.Maintenance(clock), clock.Now()
	stopCounting := m.CountDuring(ctx, log)
	defer stopCounting()
	var mu sync.Mutex
	results := make([]error, len(set.Sources))
	left := 0
	for i, s := range set.Sources {
		if results[i] = s.Err; s.Archiver != nil {
			left++
		}
	}
	// ends notes how the run of a source ended. It returns how all ended, if this was the last.
	ends := func(s *Source, err error) (all error, last bool) {
		mu.Lock()
		defer mu.Unlock()
		results[slices.Index(set.Sources, s)] = err
		left--
		return set.errors(results), left == 0
	}
	return set.Each(ctx, out, errs, func(ctx context.Context, s *Source, out, errs io.Writer) error {
		o := order(s)
		summary, took, err := archiveAnd(ctx, s.Archiver, o, s.Log, errs, func(p *archive.Progress, ended error) {
			m.leave(ctx, s.Log, s.Archiver.Patiently(ctx, ended, func() error {
				return m.tryCount(ctx, 0, func(done, days int) {
					p.Update(func(t *archive.Totals) { t.Counted, t.FigureDays = int64(done), int64(days) })
				})
			}))
			m.merge(ctx, began, s.Log, func(done, months int) {
				p.Update(func(t *archive.Totals) { t.Merged, t.Months = int64(done), int64(months) })
			})
			p.Update(func(t *archive.Totals) { t.Finishing = true })
			if all, last := ends(s, ended); last {
				m.After(ctx, began, all, log)
			}
		})
		if o.FollowRange {
			set.rangeState(ctx, s, &summary)
		}
		if note != nil {
			note(s.Report(o, summary, took, err))
		} else {
			fmt.Fprintln(out, summaryLine(o, summary, took, err, resume))
		}
		return err
	})
}

// stateWithin bounds how long the last line waits for the state of the range.
const stateWithin = 2 * time.Second

// rangeState fills in how many windows of the range are complete, also after the end of ctx.
func (set *Set) rangeState(ctx context.Context, s *Source, summary *archive.Summary) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), stateWithin)
	defer stop()
	functions, _, err := set.knownFunctions(ctx, s.Archiver)
	if err == nil {
		summary.RangeComplete, summary.RangeWindows, err = set.store.RangeState(ctx, functions, summary.Range)
	}
	if err != nil {
		s.Log.Warn("how much of the range is complete is not known", archive.ErrorKeys(err)...)
	}
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
	switch {
	case s.RangeWindows == 0:
	case s.RangeComplete < s.RangeWindows:
		line += fmt.Sprintf(", the range is not complete: %d of %d hours", s.RangeComplete, s.RangeWindows)
	case s.Windows == 0:
		line += fmt.Sprintf(", the whole range was complete already: %d of %d hours", s.RangeComplete, s.RangeWindows)
	default:
		line += fmt.Sprintf(", the whole range is complete: %d of %d hours", s.RangeComplete, s.RangeWindows)
	}
	if s.List != nil {
		line += ", the list of functions is not whole"
	}
	if err != nil && !errors.Is(err, archive.ErrNoFunction) && resume != "" {
		line += "; to resume: " + resume
	}
	return line
}
