package loop

import (
	"context"
	"fmt"
	"slices"
	"time"

	"archiver/internal/archive"
)

const (
	// followAlone is how many records in flight are asked for one by one. If there
	// are more, reading their windows again takes fewer calls.
	followAlone = 100
)

// followInFlight asks for the function's records in flight that are due to be asked for
// again, and notes when the source was asked.
//
// After a crash in here the next run asks for all of them again, except those that
// have settled.
func (r *run) followInFlight(ctx context.Context, w *walker) error {
	records, err := w.claim.InFlight(ctx, r.Clock.Now())
	if err != nil || len(records) == 0 {
		return err
	}
	if len(records) > followAlone {
		if _, err := r.readAgain(ctx, w, archive.Spans(windowsOf(records))); err != nil || w.gone {
			return err
		}
		// Records that are still in flight may have moved to another window: the first
		// of them are asked for by id. Windows with more of them stay due.
		if records, err = w.claim.InFlight(ctx, r.Clock.Now()); err != nil {
			return err
		}
	}
	asked, later := records[:min(len(records), followAlone)], records[min(len(records), followAlone):]
	for _, rec := range asked {
		if err := r.follow(ctx, w, rec); err != nil {
			return r.leaveToNextRun(ctx, w, archive.Span{From: rec.Window, To: rec.Window.Add(archive.Hour)}, err)
		}
	}
	windows := windowsOf(asked)
	for _, window := range windowsOf(later) {
		windows = slices.DeleteFunc(windows, window.Equal)
	}
	if err := w.claim.Rechecked(ctx, windows, r.Clock.Now()); err != nil {
		return fmt.Errorf("note that %s was asked for what is in flight: %w", w.function.Name, err)
	}
	return nil
}

// windowsOf returns the windows of the records, oldest first.
func windowsOf(records []archive.InFlightRecord) []time.Time {
	windows := make([]time.Time, len(records))
	for i := range records {
		windows[i] = records[i].Window.UTC()
	}
	slices.SortFunc(windows, time.Time.Compare)
	return slices.Compact(windows)
}

// follow asks for one record in flight. It is not known by which time the source
// filters, and the record's start may have changed since. So the query begins where
// the longest query that could have found the record began, and ends now.
func (r *run) follow(ctx context.Context, w *walker, rec archive.InFlightRecord) error {
	now := r.Clock.Now()
	q := archive.Query{
		Function: w.function, RequestID: rec.RequestID, Extra: rec.Extra,
		From: rec.Window.Add(-archive.MaxSpan).Add(-archive.QueryMargin), To: now.Truncate(time.Second).Add(archive.QueryMargin),
	}
	var found []archive.Invocation
	var rejected []archive.Rejected
	for page, err := range w.source.Pages(ctx, q) {
		if err != nil {
			return sourceError(ctx, err)
		}
		found = append(found, page.Invocations...)
		rejected = append(rejected, page.Rejected...)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	kept, err := w.claim.Follow(ctx, rec, archive.Distinct(found), rejected, now)
	if err != nil {
		return fmt.Errorf("keep what became of %s: %w", rec.RequestID, err)
	}
	r.progress.Update(func(t *archive.Totals) { t.Kept(kept) })
	return nil
}
