package loop

import (
	"context"
	"errors"
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

// followInFlight asks for the function's records in flight that the order asks for again, and
// notes when the source was asked.
//
// After a crash in here the next run asks for all of them again, except those that
// have settled.
func (r *run) followInFlight(ctx context.Context, w *walker) error {
	records, err := w.claim.InFlight(ctx, r.order, r.Clock.Now())
	if r.order.FollowRange {
		records = r.notReadNow(w.function.ID, records)
	}
	if err != nil || len(records) == 0 {
		return err
	}
	if len(records) > followAlone {
		if _, err := r.readAgain(ctx, w, archive.Spans(windowsOf(records))); err != nil || w.gone {
			return err
		}
		// Records that are still in flight may have moved to another window: the first
		// of them are asked for by id. Windows with more of them stay due.
		if records, err = w.claim.InFlight(ctx, r.order, r.Clock.Now()); err != nil {
			return err
		}
	}
	asked, later := records[:min(len(records), followAlone)], records[min(len(records), followAlone):]
	r.forecast.expect(len(asked))
	for i, rec := range asked {
		err := r.follow(ctx, w, rec)
		r.forecast.expect(-1)
		if err == nil {
			continue
		}
		left := r.leaveToNextRun(ctx, w, archive.Span{From: rec.Window, To: rec.Window.Add(archive.Hour)}, err)
		if failed := (*pageError)(nil); left != nil || w.gone || !errors.As(err, &failed) && !errors.Is(err, errTooWide) {
			r.forecast.expect(i + 1 - len(asked))
			return left
		}
	}
	windows := windowsOf(asked)
	for _, window := range windowsOf(later) {
		windows = slices.DeleteFunc(windows, window.Equal)
	}
	givenUp, err := w.claim.Rechecked(ctx, windows, r.Clock.Now())
	if err != nil {
		return fmt.Errorf("note that %s was asked for what is in flight: %w", w.function.Name, err)
	}
	if givenUp > 0 {
		r.Log.Warn("records never settled within the longest life, they are given up", "function", w.function.URN, "records", givenUp)
	}
	return nil
}

// notReadNow leaves out the records of windows that this run has read.
func (r *run) notReadNow(function int32, records []archive.InFlightRecord) []archive.InFlightRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(records, func(rec archive.InFlightRecord) bool {
		return slices.ContainsFunc(r.decided[function], func(s archive.Span) bool { return s.Holds(rec.Window) })
	})
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
	q := question{from: rec.Window.Add(-archive.MaxSpan - archive.QueryMargin), to: now.Truncate(time.Second).Add(archive.QueryMargin)}
	q.from = latest(q.from, r.learnedEdge())
	var f found
	failed := w.find(ctx, q, rec, &f)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if failed != nil && len(f.records) == 0 && len(f.rejected) == 0 {
		return failed
	}
	kept, err := w.claim.Follow(ctx, rec, archive.Distinct(f.records), f.rejected, now)
	if err != nil {
		return fmt.Errorf("keep what became of %s: %w", rec.RequestID, err)
	}
	r.progress.Update(func(t *archive.Totals) { t.Kept(kept) })
	return nil
}

// found is what a source gave for one request id.
type found struct {
	records  []archive.Invocation
	rejected []archive.Rejected
}

// find asks for one record. A question that is too wide, or fails, is asked in halves,
// the newer one first, until the record is found.
func (w *walker) find(ctx context.Context, q question, rec archive.InFlightRecord, f *found) error {
	var err error = errTooWide
	if !w.tooWide(q) {
		err = w.findIn(ctx, q, rec, f)
	}
	var failed *pageError
	if err == nil || !errors.Is(err, errTooWide) && !errors.As(err, &failed) {
		return err
	}
	q.part = true
	halves, ok := q.halves()
	if !ok || q.width() < archive.Hour || !errors.Is(err, errTooWide) && !w.spend(1) {
		return err
	}
	err = nil
	for i := range halves {
		h := halves[len(halves)-1-i]
		h.tries = narrowTries
		half := w.find(ctx, h, rec, f)
		switch {
		case len(f.records) > 0 || len(f.rejected) > 0:
			return nil
		case half != nil && !errors.As(half, &failed):
			return half
		case half != nil:
			err = half
		}
	}
	return err
}

var errTooWide = &archive.SourceError{Err: errors.New("the source answers no range as wide")}

// findIn asks for one record in one question.
func (w *walker) findIn(ctx context.Context, q question, rec archive.InFlightRecord, f *found) error {
	query := w.query(q, position{})
	query.RequestID, query.Extra = rec.RequestID, rec.Extra
	for page, err := range w.Source.Pages(ctx, query) {
		if err != nil {
			return w.pageError(ctx, err)
		}
		// A source that ignores the request id lists all records.
		for _, inv := range page.Invocations {
			if inv.RequestID == rec.RequestID {
				f.records = append(f.records, inv)
			}
		}
		if len(f.rejected) == 0 {
			f.rejected = page.Rejected
		}
	}
	return nil
}
