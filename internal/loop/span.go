package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"archiver/internal/archive"
)

// manyDenied is how many functions are asked for if all of them are denied. Then the
// permission is missing altogether, and the other functions are not asked for.
const manyDenied = 20

// readSpan makes the first walk of a turn, and reports whether all windows of its
// span are complete. The walk's last pages may still wait for their commit when
// readSpan returns without an error.
//
// The walk begins with the windows of before, which are not this run's. Those of again
// were complete before.
func (r *run) readSpan(ctx context.Context, w *walker, t *turn, before, again archive.Span) (whole bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	open := t.walks[0]
	t.walks, t.cut = t.walks[1:], false
	if w.alive = false; again.Windows() > 0 {
		w.again = again // also for the pieces of a span that is cut
	}
	a, err := w.readWalk(ctx, open)
	if err == nil && a.end == endCut {
		t.walks, t.cut = append(newWalks(a.cut), t.walks...), true
		r.forecast.cut(t.ID, open.Span, a.cut)
		return false, w.replace(ctx, a)
	}
	whole = err == nil && a.whole()
	if !whole && before.Windows() > 0 && len(a.parts) == 0 {
		// The windows read again stay complete, and do not count in this run.
		r.progress.Update(func(p *archive.Totals) { p.Windows -= int64(before.Windows()) })
		open.Span.From, a.span.From = before.To, before.To
	}
	if err == nil {
		err = w.decide(ctx, &a)
	}
	if err == nil && whole && r.order.Force {
		err = r.recount(ctx, w, open.Span)
	}
	r.decide(t.ID, open.Span)
	r.forecast.decided(t.ID, open.Span)
	if err != nil {
		return false, r.failed(ctx, w, t, open, err)
	}
	return whole, nil
}

// readWalk reads the span of a walk. An earlier run may have found out which part of a
// window fails: then that part is asked for first.
func (w *walker) readWalk(ctx context.Context, open archive.Walk) (answer, error) {
	q := questionOf(open.Span)
	edge := w.learnedEdge()
	if ok, err := w.beginsBefore(ctx, q, edge); err != nil {
		return answer{}, err
	} else if !ok {
		return w.afterEdge(ctx, answer{question: q, begun: open.Cursor != ""}, edge)
	}
	w.shortPart = archive.Span{}
	refused := w.begun[open.Span.From].Refused
	if q.windows() == 1 && !refused.From.Before(q.from) && refused.To.Sub(refused.From) < archive.Hour {
		if !w.may(1) {
			return answer{question: q, end: endFailed, err: errNarrowed, smallest: refused}, nil
		}
		a, err := w.askRefused(ctx, q, refused)
		if err != nil {
			return a, err
		}
		if a.end == endShort && a.stuck {
			w.shortPart = a.smallest
		}
		if a.end == endFailed {
			edge, err := w.edge(ctx, q)
			if err != nil || edge.IsZero() {
				return a, err
			}
			return w.afterEdge(ctx, answer{question: q}, edge)
		}
	}
	return w.read(ctx, q, open)
}

var errNarrowed = &archive.SourceError{Err: fmt.Errorf("a part of the hour failed in an earlier run, and this run has made %d calls for the function to find what fails", maxNarrowing)}

// askRefused asks for the part of a window that failed in an earlier run.
func (w *walker) askRefused(ctx context.Context, q question, refused archive.Span) (a answer, err error) {
	part := question{from: refused.From, to: refused.To, span: q.span, part: true, page: true, begins: true, tries: narrowTries}
	if !part.narrowest() {
		a, err = w.read(ctx, part, archive.Walk{})
		a.question, a.decided = q, false
		return a, err
	}
	// What it gives is kept already.
	page, err := w.peek(ctx, w.query(part, position{}))
	if err == nil && page.Last && page.Count > page.Len() {
		return answer{question: q, end: endShort, smallest: refused, stuck: true}, nil
	}
	var failed *pageError
	if errors.As(err, &failed) {
		query := w.query(part, position{})
		query.Limit = 1 // the page may be what failed
		_, err = w.peek(ctx, query)
	}
	if errors.As(err, &failed) {
		return answer{question: q, end: endFailed, err: failed, smallest: refused, stuck: true}, nil
	}
	return a, err
}

// replace replaces the walk of a span that is cut by walks of its pieces, if the store
// has it and does not do so with its last page.
func (w *walker) replace(ctx context.Context, a answer) error {
	if a.decided || !a.begun {
		return nil
	}
	if err := w.keeper.flush(); err != nil {
		return err
	}
	return w.keeper.commit(ctx, archive.Batch{Walk: archive.Walk{Span: a.span}, Pieces: a.cut, At: w.Clock.Now()})
}

// failed deals with an error that ends the work on a function. It returns an error that
// ends the run as well.
func (r *run) failed(ctx context.Context, w *walker, t *turn, open archive.Walk, err error) error {
	var function *errFunction
	var page *archive.SourceError
	remaining := append([]archive.Walk{open}, t.walks...)
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.Is(err, archive.ErrGone):
		t.walks = nil
		return r.markGone(ctx, w, remaining)
	case !errors.As(err, &page) && !errors.As(err, &function), errors.Is(err, archive.ErrBusy):
		return err
	case errors.Is(err, archive.ErrThrottled):
		t.walks = nil
		return r.throttled(w, t, remaining, err)
	case errors.Is(err, archive.ErrDenied):
		if end := r.denied(ctx, w.function.ID, err); end != nil {
			return end
		}
	case !errors.As(err, &function):
		return err // the source does not answer its cheapest call
	}
	// The pages read so far are committed before the span is marked.
	if flushed := w.keeper.flush(); flushed != nil {
		return flushed
	}
	t.walks = nil
	if !w.function.Missing.IsZero() || !w.function.Gone.IsZero() {
		return r.probablyDeleted(ctx, w, remaining, err)
	}
	if err := w.fail(ctx, &answer{question: questionOf(open.Span), err: err}); err != nil {
		return err
	}
	r.giveUp(t.ID, archive.StateFailed)
	if t.again {
		r.leaveComplete(windows(remaining[1:]))
	} else {
		r.leave(remaining[1:], archive.StateFailed)
	}
	return nil
}

// giveUp notes that a function is not asked for any more in this run.
func (r *run) giveUp(function int32, state archive.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaveUp[function] = state
}

// gaveUpAs returns the state that giveUp noted, or "".
func (r *run) gaveUpAs(function int32) archive.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gaveUp[function]
}

// leave counts the windows of walks as failed, or pending, that are not made in this run.
// In the archive their states do not change.
func (r *run) leave(walks []archive.Walk, state archive.State) {
	r.progress.Update(func(p *archive.Totals) {
		if state == archive.StatePending {
			p.Throttled += int64(windows(walks))
			return
		}
		p.Decided(state, windows(walks))
	})
}

// leaveComplete notes that so many complete windows could not be read again. They stay
// complete, and do not count in this run. The next run compares them.
func (r *run) leaveComplete(n int) {
	if n > 0 {
		r.progress.Update(func(p *archive.Totals) { p.Windows, p.Left = p.Windows-int64(n), p.Left+1 })
	}
}

// throttled deals with a function that the source throttles alone. Its windows stay
// pending, and it is not asked for any more in this run.
func (r *run) throttled(w *walker, t *turn, remaining []archive.Walk, err error) error {
	if err := w.keeper.flush(); err != nil {
		return err
	}
	r.giveUp(w.function.ID, archive.StatePending)
	if t.again {
		r.leaveComplete(windows(remaining))
		r.notChecked(w.function.Function, remaining[0].Span, err)
		return nil
	}
	r.leave(remaining, archive.StatePending)
	r.notComplete(w.function.Function, remaining[0].Span, err)
	return nil
}

// denied finds out whether the source denies everything, or one function: it makes the
// cheapest call, unless that is denied already. It returns an error that ends the run.
func (r *run) denied(ctx context.Context, function int32, err error) error {
	r.mu.Lock()
	r.deniedFunctions[function] = true
	many := len(r.deniedFunctions) >= manyDenied
	r.mu.Unlock()
	if many && !r.accepting.Load() {
		return err
	}
	if r.listDenied {
		return nil // the cheapest call is a list of functions
	}
	ping := r.Source.Ping(ctx)
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.Is(ping, archive.ErrBusy):
		return ping
	case errors.Is(ping, archive.ErrDenied):
		return err
	}
	return nil
}

// probablyDeleted deals with an error of a function that whole lists of the source do not
// name any more. Its windows stay as they are, until the source has forgotten all of them.
func (r *run) probablyDeleted(ctx context.Context, w *walker, remaining []archive.Walk, err error) error {
	if missing := w.function.Missing; !missing.IsZero() && r.SourceRetention > 0 && r.Clock.Now().Sub(missing) > r.SourceRetention {
		return r.markGone(ctx, w, remaining)
	}
	w.gone = true
	r.progress.Update(func(p *archive.Totals) { p.Windows -= int64(windows(remaining)) })
	r.Log.Info("function is not listed any more and does not answer, it is probably deleted",
		append([]any{"function", w.function.URN}, archive.ErrorKeys(err)...)...)
	return nil
}

// decide notes that this run has read a span of a function, or tried to.
func (r *run) decide(function int32, s archive.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decided[function] = append(r.decided[function], s)
}

// recount counts the rows of the span's windows again: another program may have
// changed rows, and these counts are what verify compares with the source's.
func (r *run) recount(ctx context.Context, w *walker, s archive.Span) error {
	if err := w.keeper.flush(); err != nil {
		return err
	}
	if err := w.claim.Recount(ctx, s); err != nil {
		return fmt.Errorf("count what was read of %s %s: %w", w.function.Name, s, err)
	}
	return nil
}

// readAgain reads complete spans again, and reports whether all of them are
// complete afterwards.
func (r *run) readAgain(ctx context.Context, w *walker, spans []archive.Span) (whole bool, err error) {
	t := turn{Due: archive.Due{Known: w.function}, walks: newWalks(spans), again: true}
	r.progress.Update(func(p *archive.Totals) { p.Windows += int64(windows(t.walks)) })
	whole = true
	for len(t.walks) > 0 && !w.gone {
		ok, err := r.readSpan(ctx, w, &t, archive.Span{}, t.walks[0].Span)
		if err != nil {
			return false, err
		}
		whole = whole && (ok || t.cut) // the pieces of a cut span are read next
	}
	return whole, w.keeper.flush()
}

// ends returns the error if it ends the whole run: the user stopped the run, the
// source accepts no calls or denies everything, or the archive failed. It returns nil
// for other errors.
func (r *run) ends(ctx context.Context, function int32, err error) error {
	var failed *archive.SourceError
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return cause
	case !errors.As(err, &failed), errors.Is(err, archive.ErrBusy):
		return err
	case errors.Is(err, archive.ErrDenied):
		return r.denied(ctx, function, err)
	}
	return nil
}

// leaveToNextRun logs and counts an error of a call for something other than
// windows. The next run makes the call again. It returns an error that ends this
// run as well.
func (r *run) leaveToNextRun(ctx context.Context, w *walker, s archive.Span, err error) error {
	if errors.Is(err, archive.ErrGone) && context.Cause(ctx) == nil {
		return r.markGone(ctx, w, nil)
	}
	if end := r.ends(ctx, w.function.ID, err); end != nil {
		return end
	}
	if errors.Is(err, archive.ErrThrottled) {
		r.giveUp(w.function.ID, archive.StatePending)
	}
	r.progress.Update(func(t *archive.Totals) { t.Left++ })
	r.notChecked(w.function.Function, s, err)
	return nil
}

// markGone notes that the source does not know the function, and that the windows of
// the remaining walks are gone. This is no error of the run: the source has no more
// records of the function.
func (r *run) markGone(ctx context.Context, w *walker, remaining []archive.Walk) error {
	if err := w.keeper.flush(); err != nil {
		return err
	}
	due := make([]archive.Span, len(remaining))
	for i, open := range remaining {
		due[i] = open.Span
	}
	if err := w.claim.Gone(ctx, due, r.Clock.Now()); err != nil {
		return fmt.Errorf("note that %s is gone: %w", w.function.Name, err)
	}
	w.gone = true
	if f := &w.function; f.LatestID == 0 && f.Gone.IsZero() && f.Missing.IsZero() {
		r.mu.Lock()
		r.vanished[f.ID] = true
		r.mu.Unlock()
	}
	r.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateGone, windows(remaining)) })
	r.Log.Warn("function is gone, its history stays", "function", w.function.URN, "windows", windows(remaining))
	return nil
}

// notComplete logs a span that did not become complete, and keeps the error for the
// run's summary.
func (r *run) notComplete(f archive.Function, s archive.Span, err error) {
	r.note("span is not complete", f, s, err)
}

// notChecked does so for what the next run asks for again, although no window is incomplete.
func (r *run) notChecked(f archive.Function, s archive.Span, err error) {
	r.note("a check is left to the next run", f, s, err)
}

func (r *run) note(what string, f archive.Function, s archive.Span, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) < maxFailuresKept {
		r.failures = append(r.failures, archive.Failure{Function: f, Span: s, Err: err})
	}
	r.Log.Warn(what, append([]any{"function", f.URN,
		"from", s.From.Format(time.RFC3339), "to", s.To.Format(time.RFC3339)}, archive.ErrorKeys(err)...)...)
}
