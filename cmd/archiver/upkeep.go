package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load"
)

// dropBefore is the time before which days are dropped, zero for never. What
// passes like this one still read is kept, however the hours fall.
func (f *dueFlags) dropBefore(o archive.Order, now time.Time) time.Time {
	if f.Retention == 0 {
		return time.Time{}
	}
	before := now.Add(-f.Retention)
	if o.Range.From.Before(before) {
		before = o.Range.From
	}
	return before
}

// dropBefore is the same for the passes of all sources, which share the days.
func (o *opened) dropBefore(now time.Time, due func(*commands) *dueFlags, order func(*openedSource) archive.Order) time.Time {
	var first time.Time
	for i, s := range o.sources {
		before := due(&s.commands).dropBefore(order(s), now)
		if i == 0 || before.Before(first) {
			first = before
		}
	}
	return first
}

// inDays is a duration as one gives it.
func inDays(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}

// makeAhead makes the days that a pass will most likely write to. Where that
// fails, the pages that need them try again, and say what is wrong.
func makeAhead(ctx context.Context, store *load.Store, now time.Time, log *slog.Logger) {
	if err := store.MakeAhead(ctx, now); err != nil && ctx.Err() == nil {
		log.Warn("days could not be made ahead", "error", err)
	}
}

// upkeep is what comes after a pass, unless it was interrupted: old days are
// dropped, statistics made. What fails of it is no failure of the pass, and is
// tried again after the next one.
func upkeep(ctx context.Context, store *load.Store, dropBefore time.Time, log *slog.Logger) {
	if ctx.Err() != nil {
		return
	}
	if !dropBefore.IsZero() {
		if err := store.Retain(ctx, dropBefore); err != nil && ctx.Err() == nil {
			log.Warn("old days are left", "error", err)
		}
	}
	if err := store.Analyze(ctx); err != nil && ctx.Err() == nil {
		log.Warn("statistics are left as they were", "error", err)
	}
}

// dryRun prints what a pass would read, as far as the archive knows without
// asking for the list of functions.
func dryRun(ctx context.Context, archiver *archive.Archiver, store *load.Store, o archive.Order, out io.Writer) error {
	if err := store.Ping(ctx); err != nil {
		return connectHint(err)
	}
	now := archiver.Clock.Now()
	known, err := store.UnseenFunctions(ctx, archiver.Source.ID(), now)
	if err != nil {
		return err
	}
	matched := known[:0]
	for _, f := range known {
		if archiver.Match(f.Function) {
			matched = append(matched, f)
		}
	}
	versions, err := archiver.KnownVersions(ctx, matched, o, now)
	if err != nil {
		return err
	}
	for i := range versions {
		if !versions[i].Covered {
			matched = append(matched, versions[i].Known)
		}
	}
	due, err := store.Due(ctx, matched, o, now)
	if err != nil {
		return err
	}
	windows, functions := 0, 0
	oldest := o.Range.To
	for _, d := range due {
		if d.Windows == 0 {
			continue // only records in flight or counts to ask for
		}
		windows, functions = windows+d.Windows, functions+1
		if d.Oldest.Before(oldest) {
			oldest = d.Oldest
		}
	}
	fmt.Fprintf(out, "%d windows of %d functions are due and would be read", windows, functions)
	if windows > 0 {
		fmt.Fprintf(out, ", the oldest of %s", oldest.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(out, "; %d functions are known\n", len(matched))
	return nil
}

// dryDrop prints what would be dropped after the pass.
func dryDrop(ctx context.Context, store *load.Store, dropBefore time.Time, out io.Writer) error {
	if dropBefore.IsZero() {
		return nil
	}
	older, err := store.Older(ctx, dropBefore)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(older) > 0 {
		fmt.Fprint(table, "DAY\tPARTITION\tROWS\tBYTES\n")
	}
	var rows, bytes int64
	for _, o := range older {
		partition := o.Partition
		if partition == "" {
			partition = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\n", o.Day.Format(time.DateOnly), partition, o.Rows, o.Bytes)
		rows, bytes = rows+o.Rows, bytes+o.Bytes
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print what would be dropped: %w", err)
	}
	fmt.Fprintf(out, "%d days would be dropped, all before %s: %d rows, %d bytes\n",
		len(older), dropBefore.UTC().Format(time.DateOnly), rows, bytes)
	return nil
}
