package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"archiver/internal/archive"
)

// maxDifferencesKept bounds the differences in a run's summary. All differences are
// in the log.
const maxDifferencesKept = 10_000

// verify compares the archive's counts with the source's: a source may show
// records late. If a span differs, verify compares its halves, down to single
// hours, and reads the hours that differ again. If the source gives no counts,
// verify reads the whole span again.
//
// After a crash in here the next run compares the windows that are not verified yet.
func (r *run) verify(ctx context.Context, w *walker, windows []time.Time) error {
	queue := archive.Spans(windows)
	r.progress.Update(func(p *archive.Totals) { p.Compared += int64(len(windows)) })
	r.forecast.expect(len(queue))
	defer func() { r.forecast.expect(-len(queue)) }()
	cut := func(s archive.Span) {
		halves := s.Cut(2)
		queue = append(halves, queue...)
		r.forecast.expect(len(halves))
	}
	for len(queue) > 0 && !w.gone {
		s := queue[0]
		queue = queue[1:]
		r.forecast.expect(-1)
		if s.Windows() > 1 && w.tooWide(questionOf(s)) {
			cut(s)
			continue
		}
		if !r.order.Compare && w.beforeEdge(s) {
			continue // the source has forgotten it, it cannot be verified any more
		}
		d, asked, err := r.difference(ctx, w, s)
		if failed := (*pageError)(nil); errors.As(err, &failed) {
			dead := w.answers(ctx, err)
			if dead == nil && s.Windows() > 1 && w.spend(1) {
				cut(s)
				continue
			}
			if dead == nil && !r.order.Compare {
				if edge, failed := w.edge(ctx, questionOf(s)); failed == nil && !edge.IsZero() {
					continue
				}
			}
			left := r.leaveToNextRun(ctx, w, s, cmp.Or(dead, err))
			if left != nil || dead != nil {
				return left
			}
			continue // what fails is this span alone
		}
		if err != nil {
			return r.leaveToNextRun(ctx, w, s, err)
		}
		// If the source gives no count of a span, it gives none of its halves.
		uncounted := d != nil && d.Counted < 0 && asked && r.repairs()
		if d != nil && s.Windows() > 1 && !uncounted {
			cut(s)
			continue
		}
		switch {
		case d == nil:
		case !r.repairs():
			r.differs(*d)
			if d.Counted > d.Archived {
				err := w.claim.Differs(ctx, d.Window, &archive.ShortError{Saw: d.Archived, Count: d.Counted})
				if err != nil {
					return fmt.Errorf("note that %s %s differs: %w", w.function.Name, s, err)
				}
			}
			continue
		default:
			if !uncounted {
				r.differs(*d)
			}
			whole, err := r.readAgain(ctx, w, []archive.Span{s})
			if err != nil || w.gone {
				return err
			}
			if !whole {
				continue // the next run compares the span again
			}
			if err := r.recount(ctx, w, s); err != nil {
				return err
			}
		}
		if err := w.claim.Verified(ctx, s, r.Clock.Now()); err != nil {
			return fmt.Errorf("note that %s %s is verified: %w", w.function.Name, s, err)
		}
	}
	return nil
}

// repairs reports whether windows that differ are read again.
func (r *run) repairs() bool { return !r.order.Compare || r.order.Repair }

// difference compares a span by its count, and by its records where counts cannot tell.
// It returns nil if nothing differs; asked as compare does.
func (r *run) difference(ctx context.Context, w *walker, s archive.Span) (d *archive.Difference, asked bool, err error) {
	d, asked, err = r.compare(ctx, w, s)
	if err != nil || d == nil {
		return nil, asked, err
	}
	// The archive holds a record that two versions list under one of them, so the
	// count of this version may be larger and nothing be missing.
	if w.function.Versioned && d.Counted > d.Archived || d.Counted < 0 && !r.repairs() && s.Windows() == 1 {
		d, err = w.compareIDs(ctx, s, d)
	}
	return d, asked, err
}

// compareIDs reads a span whose counts cannot be compared, and keeps nothing. It
// returns nil if the archive has all records that the source gives.
func (w *walker) compareIDs(ctx context.Context, s archive.Span, d *archive.Difference) (*archive.Difference, error) {
	missing := 0
	for _, q := range w.narrowEnough(questionOf(s)) {
		_, n, err := w.missing(ctx, s, q)
		if err != nil {
			return nil, err
		}
		missing += n
	}
	if missing == 0 {
		return nil, nil
	}
	d.Counted = d.Archived + missing
	return d, nil
}

// missing reads a question, and returns how many records the source gives and how many of
// these the archive does not have. The end of a list is believed as it is in a walk: if it
// is not accepted, and the archive has all of the list, the halves are read too.
func (w *walker) missing(ctx context.Context, s archive.Span, q question) (listed, missing int, err error) {
	for page, err := range w.Source.Pages(ctx, w.query(q, position{})) {
		if err != nil {
			return 0, 0, w.pageError(ctx, err)
		}
		n, err := w.claim.Missing(ctx, s, archive.Distinct(page.Invocations))
		if err != nil {
			page.Release()
			return 0, 0, fmt.Errorf("look for the records of %s %s: %w", w.function.Name, s, err)
		}
		listed, missing = listed+page.Len(), missing+n
	}
	q.part = true
	halves, ok := q.halves()
	if missing > 0 || !ok || w.accepts(listed) {
		return listed, missing, nil
	}
	var of [2]int
	for i, h := range halves {
		if !w.spend(1) {
			return 0, 0, w.pageError(ctx, errUnproven)
		}
		if of[i], missing, err = w.missing(ctx, s, h); err != nil || missing > 0 {
			return listed, missing, err
		}
	}
	if of[0]+of[1] == listed && 10*max(of[0], of[1]) <= 9*listed {
		w.learned.proved(listed, w.Clock.Now())
	}
	return listed, 0, nil
}

// differs logs a difference, and keeps it for the run's summary.
func (r *run) differs(d archive.Difference) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.differences) < maxDifferencesKept {
		r.differences = append(r.differences, d)
	}
	r.progress.Update(func(p *archive.Totals) { p.Differ++ })
	if d.Counted > d.Archived {
		r.progress.Update(func(p *archive.Totals) { p.Missing++ })
	}
	about := []any{"function", d.Function.URN, "window", d.Window.Format(time.RFC3339), "archived", d.Archived}
	if d.Counted < 0 {
		r.Log.Warn("source and archive cannot be compared", about...)
		return
	}
	r.Log.Warn("source and archive differ", append(about, "counted", d.Counted)...)
}

// compare asks for the source's count of a span, and returns nil if the archive has
// as many records. This takes one call for one record. The query begins and ends in
// a second in which no archived record starts: then the count does not depend on
// whether the source includes the borders of a query.
//
// If the archive finds no such second near the span (the function is too busy),
// compare asks for the span from its first to its last second: the count is right if
// the source includes borders, and may be too small if not. If that count is smaller
// than the archive's, compare asks for one second more on each side: the count is
// right if the source excludes borders, and may be too large if not.
//
// The counts cannot be compared if the source filters by another time than the
// start, if some records have no start, or if the source gives no count. Then compare
// returns a difference with Counted -1. asked is false if it made no call.
func (r *run) compare(ctx context.Context, w *walker, s archive.Span) (d *archive.Difference, asked bool, err error) {
	archived, err := w.claim.Count(ctx, s, r.order.Compare)
	if err != nil {
		return nil, false, fmt.Errorf("count what is archived of %s %s: %w", w.function.Name, s, err)
	}
	d = &archive.Difference{Function: w.function.Function, Window: s.From, Archived: archived.Records, Counted: -1}
	if archived.Undated {
		return d, false, nil
	}
	for _, q := range []question{
		{from: archived.From, to: archived.To},
		{from: s.From.Add(-archive.QueryMargin), to: s.To},
	} {
		if w.tooWide(q) {
			break
		}
		d.Counted, err = w.count(ctx, q.from, q.to, archived.Records)
		if err == nil && (d.Counted == archived.Records || s.Windows() == 1) {
			q.part = true
			d.Counted, err = w.total(ctx, q, d.Counted)
		}
		if err != nil || d.Counted == archived.Records {
			return nil, true, err
		}
		if archived.Quiet || d.Counted < 0 || d.Counted > archived.Records {
			break
		}
	}
	return d, true, nil
}
