package main

import (
	"context"
	"fmt"
	"log/slog"
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
