package archive

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// MaxLife is how long after its window a record in flight is asked for again:
// an invocation waits up to 24 hours (page: Querying Asynchronous Execution
// Notification Settings, max_async_event_age_in_seconds) and runs up to 72.
const MaxLife = 96 * time.Hour

// FirstRecheck is how long after it was found a record in flight is asked for
// again; each time after that it is twice as long.
const FirstRecheck = 10 * time.Minute

const (
	// followAlone is how many records in flight are asked for one by one. With
	// more of them, reading their windows again takes fewer calls.
	followAlone = 100
)

// An InFlightRecord is one that the archive has as unfinished.
type InFlightRecord struct {
	RequestID string
	Window    time.Time // that it counts into
	Extra     []byte    // see Invocation
}

// settle asks for the function's records in flight whose time has come, and
// says when to ask for those still in flight again.
//
// A crash in here leaves what was not asked for to the next run.
func (r *run) settle(ctx context.Context, w *walker) error {
	records, err := w.claim.InFlight(ctx, r.Clock.Now())
	if err != nil || len(records) == 0 {
		return err
	}
	if len(records) > followAlone {
		if _, err := r.reread(ctx, w, Spans(windowsOf(records))); err != nil || w.gone {
			return err
		}
		// What that did not settle may have moved to another window: some of
		// it is asked for by its id now. Windows of which something was not
		// asked for stay due.
		if records, err = w.claim.InFlight(ctx, r.Clock.Now()); err != nil {
			return err
		}
	}
	asked, later := records[:min(len(records), followAlone)], records[min(len(records), followAlone):]
	for _, rec := range asked {
		if err := r.follow(ctx, w, rec); err != nil {
			return r.survive(ctx, w, Span{From: rec.Window, To: rec.Window.Add(Hour)}, err)
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

// windowsOf are the windows of the records, in order.
func windowsOf(records []InFlightRecord) []time.Time {
	windows := make([]time.Time, len(records))
	for i := range records {
		windows[i] = records[i].Window.UTC()
	}
	slices.SortFunc(windows, time.Time.Compare)
	return slices.Compact(windows)
}

// follow asks for one record in flight. The time that the source filters on is
// not known, and the record's start may have moved anywhere since: the query
// reaches from the beginning of the longest one that can have found it until
// now.
func (r *run) follow(ctx context.Context, w *walker, rec InFlightRecord) error {
	now := r.Clock.Now()
	q := Query{
		Function: w.function, RequestID: rec.RequestID, Extra: rec.Extra,
		From: rec.Window.Add(-maxSpan).Add(-pad), To: now.Truncate(time.Second).Add(pad),
	}
	var found []Invocation
	var rejected []Rejected
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
	kept, err := w.claim.Follow(ctx, rec, Distinct(found), rejected, now)
	if err != nil {
		return fmt.Errorf("keep what became of %s: %w", rec.RequestID, err)
	}
	r.progress.kept(kept)
	return nil
}
