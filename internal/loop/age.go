package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"archiver/internal/archive"
)

// answered notes what a page shows: the function answers, and how old the records are
// that the source still gives. Only a settled record within what was asked for counts.
func (w *walker) answered(q question, p *archive.Page) {
	w.accepting.Store(true)
	now := w.Clock.Now()
	var oldest time.Duration
	for i := range p.Invocations {
		inv := &p.Invocations[i]
		if !inv.Start.Before(q.from) && !inv.Start.After(q.to) && !inv.InFlight() {
			oldest = max(oldest, now.Sub(inv.Start))
		}
	}
	if oldest > believedAge {
		w.learned.raise(archive.LearnedAge, int64(oldest/time.Second), now)
	}
}

// unproven notes a window that is expired only because the source has given no record
// as old.
func (r *run) unproven(hour time.Time, missed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if missed {
		r.missedUnproven = append(r.missedUnproven, r.Clock.Now().Sub(hour))
	}
	end := hour.Add(archive.Hour)
	if r.unprovenFrom.IsZero() || end.Before(r.unprovenFrom) {
		r.unprovenFrom = end
	}
}

// unprovenBefore reports whether an earlier window is expired only because the source has
// given no record as old.
func (r *run) unprovenBefore(hour time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.unprovenFrom.IsZero() && !r.unprovenFrom.After(hour)
}

// ageQuestions is how many functions are asked for one old record.
const ageQuestions = 5

// proveAge asks a few functions for one record older than the windows of this run that
// are expired only because no record as old was seen, if this run saw no such record.
func (r *run) proveAge(ctx context.Context, functions []archive.Known) error {
	if !r.unprovenFrom.IsZero() {
		for i, f := range functions {
			age := r.Clock.Now().Sub(r.unprovenFrom) + archive.Hour
			if i == ageQuestions || r.learned.age() >= age {
				break
			}
			if err := r.askForOld(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepLearned writes to the store what was learned of the source, and makes windows
// complete that are expired only because no record as old was seen, if some record is as
// old. It does so however the run ended.
func (r *run) keepLearned(ctx context.Context) error {
	ctx, stop := grace(ctx, r.Clock, lastCall)
	defer stop()
	if age := r.learned.seconds(archive.LearnedAge); age > 0 {
		n, err := r.Store.Prove(ctx, r.Source.ID(), age)
		if err != nil {
			return fmt.Errorf("note which quiet windows are complete: %w", err)
		}
		r.progress.Update(func(p *archive.Totals) {
			ofThisRun := min(p.Expired, int64(n))
			p.Expired -= ofThisRun
			p.Complete += ofThisRun
			first := r.Clock.Now().Sub(r.unprovenFrom) // since the end of the first window in doubt
			all := len(r.missedUnproven)
			r.missedUnproven = slices.DeleteFunc(r.missedUnproven, func(missed time.Duration) bool {
				return missed <= age || missed <= age+archive.Hour && first <= age
			})
			p.Missed -= int64(all - len(r.missedUnproven))
		})
	}
	return r.learned.keep(ctx, r.Store, r.Source.ID())
}

// askForOld asks a function for one record that is older than the first unproven window.
func (r *run) askForOld(ctx context.Context, f archive.Known) error {
	w := &walker{run: r, function: f}
	to := r.unprovenFrom.Add(-archive.Hour)
	width := 24 * time.Hour
	if widest := r.learned.seconds(archive.LearnedRange); widest > 0 {
		width = min(width, widest)
	}
	q := question{from: to.Add(-width), to: to}
	if edge := r.learned.seconds(archive.LearnedEdge); edge > 0 {
		q.from = latest(q.from, r.Clock.Now().Add(-edge).Truncate(time.Second).Add(time.Second))
	}
	if !q.from.Before(q.to) {
		return nil
	}
	page, err := w.peek(ctx, archive.Query{From: q.from, To: q.to, Limit: 1, Newest: true, Tries: narrowTries})
	var failed *archive.SourceError
	switch {
	case errors.As(err, &failed) && !errors.Is(err, archive.ErrBusy):
		return nil // the windows stay expired
	case err != nil:
		return err
	}
	w.answered(q, &page)
	return nil
}
