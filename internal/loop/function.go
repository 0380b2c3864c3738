package loop

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"archiver/internal/archive"
)

// maxFailures is how many spans in a row may fail before the rest of a
// function is left for the next run: a source that is down is not asked for
// every span of every function.
const maxFailures = 2

// function claims one function and reads what is due of it. ErrClaimed and
// ErrClaimLost say that another worker has the function. Every other error ends
// the run.
//
// After a span it releases the claim if a function with older windows waits, or
// if another process shares the work. Then left is the turn to go on with.
func (r *run) function(ctx context.Context, t turn) (left *turn, err error) {
	claim, err := r.Store.Claim(ctx, t.Known)
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", t.Name, err)
	}
	keep, stop := grace(ctx, r.Clock, keepGrace)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(ctx, claim, cancel)
	}()
	keeper := newKeeper(keep, claim, t.Function, r.progress, r.slots, cancel)
	defer func() {
		if kept := keeper.close(); kept != nil && err == nil {
			err = kept
		}
		// If the claim was lost, report only that: other errors follow from it.
		if err != nil && errors.Is(context.Cause(ctx), archive.ErrClaimLost) {
			err = archive.ErrClaimLost
		}
		cancel(nil)
		<-renewed
		release, stop := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
		defer stop()
		// A claim that cannot be released runs out by itself.
		if released := claim.Release(release); released != nil && err == nil {
			err = fmt.Errorf("release %s: %w", t.Name, released)
		}
	}()

	work, err := claim.Work(ctx, r.order, r.began)
	if err != nil {
		return nil, fmt.Errorf("find what is due of %s: %w", t.Name, err)
	}
	t.walks = walksOf(&work, t.begun)
	// Walks left open may reach beyond what this run was asked for.
	r.progress.Update(func(p *archive.Totals) { p.Windows += int64(max(0, windows(t.walks)-t.Windows)) })
	w := &walker{
		source: r.Source, claim: claim, keeper: keeper, clock: r.Clock, function: t.Function,
		seed: maphash.MakeSeed(), slots: r.slots, endRun: r.end,
		versioned: t.Versioned,
	}
	for len(t.walks) > 0 {
		if err := r.next(ctx, w, &t, &work); err != nil || w.gone {
			return nil, err
		}
		if len(t.walks) == 0 {
			break
		}
		if !r.shared.Load() && !r.queue.older(t.walks[0].Span.From) {
			continue
		}
		if err := keeper.flush(); err != nil {
			return nil, err // what lies before is not decided
		}
		return r.leave(t), nil
	}
	if err := keeper.flush(); err != nil {
		return nil, err
	}
	if err := r.settings(ctx, w, &t); err != nil {
		return nil, err
	}
	if r.order.Follow {
		if err := r.followInFlight(ctx, w); err != nil || w.gone {
			return nil, err
		}
	}
	return nil, r.verify(ctx, w, work.Verify)
}

// walksOf are those to be made, oldest first, but for what lies before a time:
// that has been decided in this run, whichever way.
func walksOf(w *archive.Work, from time.Time) []archive.Walk {
	walks := slices.Clone(w.Open)
	for _, s := range archive.Spans(w.Windows) {
		walks = append(walks, archive.Walk{Span: s})
	}
	walks = slices.DeleteFunc(walks, func(open archive.Walk) bool { return open.Span.From.Before(from) })
	slices.SortFunc(walks, func(a, b archive.Walk) int { return a.Span.From.Compare(b.Span.From) })
	return walks
}

// windows is how many windows walks are about.
func windows(walks []archive.Walk) (n int) {
	for _, open := range walks {
		n += open.Span.Windows()
	}
	return n
}

// renew keeps the claim while the function is worked on, however long its
// calls take, and ends the work where the claim is lost.
func (r *run) renew(ctx context.Context, claim archive.Claim, cancel context.CancelCauseFunc) {
	for r.Clock.Sleep(ctx, archive.ClaimLife/3) == nil {
		if err := claim.Renew(ctx); errors.Is(err, archive.ErrClaimLost) {
			cancel(err)
			return
		}
	}
}

// leave is the turn of a function that gives way.
func (r *run) leave(t turn) *turn {
	t.begun = t.walks[0].Span.From
	t.Oldest, t.Windows = t.begun, windows(t.walks)
	t.walks = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun[t.ID] = t.begun
	return &t
}

// next makes the first of the walks that a turn has left, and verifies windows
// on the way where it can.
func (r *run) next(ctx context.Context, w *walker, t *turn, work *archive.Work) error {
	var again reread
	if t.LatestID == 0 { // what another version holds may not be known to be much
		again = rereadBefore(work, &t.walks[0])
	}
	t.reread = again.Span
	r.progress.Update(func(p *archive.Totals) { p.Windows += int64(again.Windows()) })
	whole, err := r.span(ctx, w, t)
	t.reread = archive.Span{}
	if err != nil || w.gone {
		return err
	}
	if !whole {
		// The walk that it has left, or its pieces, are kept where they begin.
		work.Complete = nil
		return nil
	}
	if again.verified.Windows() == 0 {
		return nil
	}
	if err := w.keeper.flush(); err != nil {
		return err
	}
	r.progress.Update(func(p *archive.Totals) { p.Compared += int64(again.verified.Windows()) })
	if err := w.claim.Verified(ctx, again.verified, r.Clock.Now()); err != nil {
		return fmt.Errorf("note that %s %s is verified: %w", w.function.Name, again.verified, err)
	}
	work.Verify = slices.DeleteFunc(work.Verify, again.verified.Holds)
	return nil
}

// span makes the first of the walks that a turn has left, and reports whether
// that made its windows complete. What came may still wait to be kept when it
// returns without an error.
func (r *run) span(ctx context.Context, w *walker, t *turn) (whole bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	open := t.walks[0]
	t.walks, t.cut = t.walks[1:], false
	err = w.walk(ctx, open)

	var cut *errCut
	if errors.As(err, &cut) {
		var pieces []archive.Walk
		for _, s := range cut.pieces {
			pieces = append(pieces, archive.Walk{Span: s})
		}
		t.walks, t.cut = append(pieces, t.walks...), true
		return false, nil
	}
	if err != nil && t.reread.Windows() > 0 {
		// What was complete before stays so, and is not asked for.
		r.progress.Update(func(p *archive.Totals) { p.Windows -= int64(t.reread.Windows()) })
		open.Span.From = t.reread.To
	}
	if err != nil || r.order.Force {
		// The pages read so far are committed before the span is marked.
		if kept := w.keeper.flush(); kept != nil {
			return false, kept
		}
	}
	var short *archive.ShortError
	var failed *archive.SourceError
	switch {
	case err == nil:
		whole, t.failures = true, 0
		if r.order.Force {
			if err := w.claim.Recount(ctx, open.Span); err != nil {
				return false, fmt.Errorf("count what was read of %s %s: %w", w.function.Name, open.Span, err)
			}
		}
	case errors.As(err, &short):
		t.failures = 0 // the source has answered
		r.notComplete(w.function, open.Span, err)
	case errors.Is(err, archive.ErrGone) && context.Cause(ctx) == nil:
		return false, r.gone(ctx, w, append([]archive.Walk{open}, t.walks...))
	case ends(ctx, err) != nil:
		return false, ends(ctx, err)
	case errors.As(err, &failed):
		t.failures++
		if err := w.claim.Fail(ctx, open.Span, failed.Error(), r.Clock.Now()); err != nil {
			return false, fmt.Errorf("note that %s failed: %w", w.function.Name, err)
		}
		r.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateFailed, open.Span.Windows()) })
		r.notComplete(w.function, open.Span, err)
	}
	if t.failures < maxFailures {
		return whole, nil
	}
	// What is left of a function that keeps failing is as good as failed in
	// this run; its windows stay as they were.
	r.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateFailed, windows(t.walks)) })
	t.walks = nil
	return false, nil
}

// readAgain reads complete spans a second time, and reports whether all of them
// are complete again.
func (r *run) readAgain(ctx context.Context, w *walker, spans []archive.Span) (whole bool, err error) {
	var t turn
	for _, s := range spans {
		t.walks = append(t.walks, archive.Walk{Span: s})
	}
	r.progress.Update(func(p *archive.Totals) { p.Windows += int64(windows(t.walks)) })
	whole = true
	for len(t.walks) > 0 && !w.gone {
		ok, err := r.span(ctx, w, &t)
		if err != nil {
			return false, err
		}
		whole = whole && (ok || t.cut)
	}
	return whole, w.keeper.flush()
}

// ends returns the error if it ends the whole run: the user stopped the run, the
// source denies access, or the archive failed. It returns nil for other errors.
func ends(ctx context.Context, err error) error {
	var failed *archive.SourceError
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return cause
	case !errors.As(err, &failed) || errors.Is(err, archive.ErrDenied):
		return err
	}
	return nil
}

// leaveToNextRun logs and counts an error of a call for something other than
// windows. The next run makes the call again. It returns an error that ends this
// run as well.
func (r *run) leaveToNextRun(ctx context.Context, w *walker, s archive.Span, err error) error {
	if errors.Is(err, archive.ErrGone) && context.Cause(ctx) == nil {
		return r.gone(ctx, w, nil)
	}
	if end := ends(ctx, err); end != nil {
		return end
	}
	r.progress.Update(func(t *archive.Totals) { t.Left++ })
	r.notComplete(w.function, s, err)
	return nil
}

// gone notes that the source does not know the function. That is not an error: the
// source has no more records of the function.
func (r *run) gone(ctx context.Context, w *walker, left []archive.Walk) error {
	due := make([]archive.Span, len(left))
	for i, open := range left {
		due[i] = open.Span
	}
	if err := w.claim.Gone(ctx, due, r.Clock.Now()); err != nil {
		return fmt.Errorf("note that %s is gone: %w", w.function.Name, err)
	}
	w.gone = true
	r.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateGone, windows(left)) })
	r.Log.Warn("function is gone, its history stays", "function", w.function.URN, "windows", windows(left))
	return nil
}

// notComplete logs a span that did not become complete, for the summary too.
func (r *run) notComplete(f archive.Function, s archive.Span, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) < maxFailuresKept {
		r.failures = append(r.failures, archive.Failure{Function: f, Span: s, Err: err})
	}
	r.Log.Warn("span is not complete", append([]any{"function", f.URN,
		"from", s.From.Format(time.RFC3339), "to", s.To.Format(time.RFC3339)}, archive.ErrorKeys(err)...)...)
}
