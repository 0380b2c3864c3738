package loop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"archiver/internal/archive"
)

// An ending is how the reading of a question ended.
type ending int

const (
	endNone     ending = iota // it goes on
	endAgain                  // records came or went between two pages: walk again
	endWhole                  // all records were seen, and their count is accepted
	endUnproven               // all that the source counts were seen, and it may count too few
	endMany                   // the source counts more than it gives to one question
	endCut                    // the span is cut into pieces, which are read one by one
	endShort                  // what came is not what the source counts
	endFailed                 // the source refused the question, or failed
	endUnusable               // most records could not be read: no smaller question helps
)

// An answer is what reading a question led to.
type answer struct {
	question
	end      ending
	seen     int               // distinct records, those of the border seconds included
	records  seen              // these records; nil if a part of them is not known
	count    int               // the source's count, -1 for none
	proved   bool              // so many records were proven to be all
	byWindow map[time.Time]int // distinct records by window; nil if they are not known
	present  map[time.Time]int // at least as many records by window as are archived; nil if byWindow is known
	err      error             // why the question is not whole
	cut      []archive.Span    // of endCut: the pieces

	// smallest is the smallest question that failed, in seconds. stuck says that no
	// smaller one can be asked.
	smallest archive.Span
	stuck    bool
	holes    bool // records were passed over, around smallest

	parts   []answer // of several windows, if they are decided one by one
	leaves  []leaf   // of a window that was read in parts
	first   time.Time
	last    *step // of endUnproven: the last page, which is kept once the count is proven or not
	begun   bool  // the store has a walk of the span
	decided bool  // the windows are decided in the archive
}

// A leaf is a part of a window that was read whole.
type leaf struct {
	question
	seen, count int
	proved      bool
}

// decides reports whether the answer's windows are decided as soon as it is whole.
func (q question) decides() bool { return !q.part && !q.defers }

// whole reports whether all records of the question are in the archive.
func (a *answer) whole() bool {
	if len(a.parts) > 0 {
		for i := range a.parts {
			if !a.parts[i].whole() {
				return false
			}
		}
		return true
	}
	return a.end == endWhole
}

// joined returns the answer to a question whose halves were read.
func joined(q question, halves [2]answer) answer {
	a := answer{question: q, end: endWhole, count: -1, stuck: true, first: halves[0].first}
	if a.records = halves[0].records; a.records != nil && halves[1].records != nil {
		maps.Copy(a.records, halves[1].records)
		a.seen, a.byWindow = len(a.records), a.records.byWindow()
	}
	if halves[1].first.Before(a.first) {
		a.first = halves[1].first
	}
	if q.windows() > 1 {
		a.parts = halves[:]
	}
	for i := range halves {
		h := &halves[i]
		a.begun = a.begun || h.begun
		if h.end == endWhole && len(h.leaves) == 0 {
			a.leaves = append(a.leaves, leaf{h.question, h.seen, h.count, h.proved})
		}
		a.leaves = append(a.leaves, h.leaves...)
		if h.whole() {
			continue
		}
		// The next run goes on where this one has not narrowed yet.
		switch {
		case a.end == endWhole || a.stuck && !h.stuck:
			a.end, a.err, a.smallest, a.count, a.stuck = h.end, h.err, h.smallest, h.count, h.stuck
		case !a.stuck && !h.stuck && !a.smallest.From.IsZero() && !h.smallest.From.IsZero(): // of unusable records it is not known
			a.smallest.To = h.smallest.To
		}
	}
	return a
}

// decide writes to the archive how reading the windows of an answer ended, if that was
// not done together with their last page.
func (w *walker) decide(ctx context.Context, a *answer) error {
	if a.decided || a.part {
		return nil
	}
	a.decided = true
	if len(a.parts) > 0 {
		for i := range a.parts {
			if err := w.decide(ctx, &a.parts[i]); err != nil {
				return err
			}
		}
		return nil
	}
	// The pages read so far are committed before the span is marked.
	if err := w.keeper.flush(); err != nil {
		return err
	}
	if a.end == endWhole {
		if err := w.proveLeaves(ctx, a); err != nil {
			return err
		}
	}
	if a.end == endWhole {
		if err := w.countLeaves(ctx, a); err != nil {
			return err
		}
	}
	if a.end == endFailed || a.end == endUnusable {
		return w.fail(ctx, a)
	}
	if err := w.lookUpHeld(ctx, a); err != nil {
		return err
	}
	outcome := w.outcome(*a)
	if outcome.State == archive.StateShort {
		w.notComplete(w.function.Function, a.span, a.err)
	}
	return w.keeper.commit(ctx, archive.Batch{Walk: archive.Walk{Span: a.span}, Outcome: outcome, At: w.Clock.Now()})
}

// lessThanHeld returns the windows of an answer of which the archive held more, when the
// function was claimed, than the source gives now.
func (w *walker) lessThanHeld(a *answer) (hours []time.Time) {
	for hour := a.span.From; a.end == endWhole && a.byWindow != nil && hour.Before(a.span.To); hour = hour.Add(archive.Hour) {
		if a.byWindow[hour] < w.begun[hour].Held {
			hours = append(hours, hour)
		}
	}
	return hours
}

// lookUpHeld looks up what the archive holds of these windows now that the answer is
// committed: a record that has moved to another window is not forgotten.
func (w *walker) lookUpHeld(ctx context.Context, a *answer) error {
	hours := w.lessThanHeld(a)
	if len(hours) == 0 {
		return nil
	}
	held, err := w.claim.Held(ctx, hours)
	if err != nil {
		return fmt.Errorf("look up what is archived of %s %s: %w", w.function.Name, a.span, err)
	}
	for _, hour := range hours {
		b := w.begun[hour]
		b.Held = min(b.Held, held[hour].Records-held[hour].Startless)
		w.begun[hour] = b
	}
	return nil
}

// proveLeaves proves the counts of parts of a window that were believed before the source
// was known to cut off at as many records. If that fails, the window is short, and the next
// run reads it.
func (w *walker) proveLeaves(ctx context.Context, a *answer) error {
	ceiling := w.learned.value(archive.LearnedCeiling)
	for _, l := range a.leaves {
		if ceiling == 0 || int64(l.seen) < ceiling || l.proved {
			continue
		}
		ok, _, err := w.prove(ctx, l.question, l.count)
		if failed := (*pageError)(nil); err != nil && !errors.As(err, &failed) {
			return err
		}
		if !ok {
			a.end, a.err = endShort, errCutOff
			return nil
		}
	}
	return nil
}

// countLeaves counts the parts of a window again that were read more than Settle ago: a
// record may have come to one of them while the others were read. If a count has changed,
// the window is short, and the next run reads it.
func (w *walker) countLeaves(ctx context.Context, a *answer) error {
	if len(a.leaves) == 0 || w.Clock.Now().Sub(a.first) <= w.Settle {
		return nil
	}
	for _, l := range a.leaves {
		if l.count < 0 {
			continue
		}
		n, err := w.countAgain(ctx, l.question, l.count, l.count)
		if err != nil {
			return err
		}
		if n != l.count {
			a.end, a.err, a.byWindow = endShort, errMoved, nil
			return nil
		}
	}
	return nil
}

var errMoved = errors.New("records came to a part, or left it, while the others were read")

var errCutOff = errors.New("a part was read before it was known how many records the source gives to one question")

// fail notes that the windows of an answer failed. Those that the source has forgotten by
// now are expired: no later run can read them. Those that were complete before stay so: the
// next run compares them again.
func (w *walker) fail(ctx context.Context, a *answer) error {
	s := a.span
	if w.SourceRetention > 0 {
		forgotten := archive.Span{From: s.From, To: earliest(s.To, archive.WindowOf(w.Clock.Now().Add(-w.SourceRetention)))}
		if forgotten.From.Before(forgotten.To) {
			if err := w.expire(ctx, forgotten); err != nil {
				return err
			}
			s.From = forgotten.To
		}
	}
	if s.Windows() == 0 {
		return nil
	}
	refusal := archive.Refusal{Reason: a.err.Error(), Smallest: a.smallest, Stuck: a.stuck}
	failed, err := w.claim.Fail(ctx, s, refusal, w.Clock.Now())
	if err != nil {
		return fmt.Errorf("note that %s failed: %w", w.function.Name, err)
	}
	w.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateFailed, failed) })
	w.leaveComplete(s.Windows() - failed)
	err = a.err
	if !a.smallest.From.IsZero() && a.smallest != a.span {
		err = fmt.Errorf("%w (the smallest question that fails: %s)", err, seconds(a.smallest))
	}
	if failed == 0 {
		w.notChecked(w.function.Function, s, err)
	} else {
		w.notComplete(w.function.Function, s, err)
	}
	return nil
}

// seconds writes a span of seconds.
func seconds(s archive.Span) string {
	return s.From.UTC().Format(time.RFC3339) + "/" + s.To.UTC().Format(time.RFC3339)
}

// outcome returns the outcome of an answer that is whole or short.
//
// A window is expired if the source may have forgotten some of its records by now: it
// ended longer ago than the source keeps records; or an earlier run saw more of it
// than there is now; or it gave nothing, and the source has lately given no record as
// old. What came is kept.
func (w *walker) outcome(a answer) *archive.Outcome {
	o := &archive.Outcome{State: archive.StateComplete, Counts: a.byWindow}
	if a.end != endWhole {
		o.State = archive.StateShort
		if a.err == nil {
			a.err = &archive.ShortError{Saw: a.seen, Count: a.count}
		}
		o.Err, o.Refusal = a.err.Error(), archive.Refusal{Smallest: a.smallest, Stuck: a.stuck}
		o.Counts = nil
		if a.byWindow != nil && a.count >= 0 && a.span.Windows() == 1 {
			// Without the records that belong to adjacent windows.
			o.Counts = map[time.Time]int{a.span.From: a.count - (a.seen - a.byWindow[a.span.From])}
		}
	}
	now, seenAge := w.Clock.Now(), w.learned.age() // which other workers raise
	for hour := a.span.From; hour.Before(a.span.To); hour = hour.Add(archive.Hour) {
		if w.again.Holds(hour) {
			continue // the archive has what the source gave earlier
		}
		age, earlier := now.Sub(hour.Add(archive.Hour)), w.begun[hour]
		n := a.byWindow[hour] + a.present[hour]
		counted := a.end == endWhole && (a.byWindow != nil || a.present != nil)
		old := w.SourceRetention > 0 && age > w.SourceRetention
		less := counted && (n < earlier.Counted || n < earlier.Held && age > believedAge)
		if age <= believedAge && !old && !less {
			continue
		}
		// If the source gave nothing of earlier windows, it may have forgotten them, and the
		// first part of the window in which the oldest record starts.
		unproven := !old && !less && counted &&
			(n == 0 && age > seenAge || age+archive.Hour > seenAge && w.unprovenBefore(hour))
		if !old && !less && !unproven {
			continue
		}
		// The oldest record may start anywhere in its window. What this run takes does not count:
		// what it has not seen may have been forgotten before it began.
		kept, until := seenAge-archive.Hour, w.began
		if old {
			kept, until = w.SourceRetention, now
		}
		_, begun := w.begun[hour]
		e := archive.Expired{
			// By force, windows are read again that may have been complete.
			Missed: (less || age-until.Sub(w.function.FirstSeen) < kept) && (begun || !w.order.Force), Unproven: unproven,
			Bare: hour.Add(archive.Hour).Before(w.order.ForgottenBefore),
		}
		if o.Expired == nil {
			o.Expired = make(map[time.Time]archive.Expired)
		}
		o.Expired[hour] = e
		if unproven {
			w.unproven(hour, e.Missed)
		}
	}
	return o
}

// sourceError returns the cause of the context's end, if ctx has ended. Otherwise it
// wraps err as an error of the source.
func sourceError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return &archive.SourceError{Err: err}
}

// A pageError is an error of the source that concerns one page of one question.
type pageError struct{ archive.SourceError }

// Unwrap returns the error of the source.
func (e *pageError) Unwrap() error { return &e.SourceError }

// pageError returns the cause of the context's end, if ctx has ended. An error that
// concerns more than the question is returned as it is.
func (w *walker) pageError(ctx context.Context, err error) error {
	if context.Cause(ctx) != nil || errors.Is(err, archive.ErrDenied) || errors.Is(err, archive.ErrGone) ||
		errors.Is(err, archive.ErrBusy) || errors.Is(err, archive.ErrThrottled) {
		return sourceError(ctx, err)
	}
	return &pageError{archive.SourceError{Err: err}}
}
