package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"archiver/internal/archive"
)

// maxFailures is how many spans of a function may fail in a row. Then the rest of
// the function is left for the next run: if the source is down, the run does not
// ask for every span of every function.
const maxFailures = 2

// readSpan makes the first walk of a turn, and reports whether all windows of its
// span are complete. The walk's last pages may still wait for their commit when
// readSpan returns without an error.
//
// The walk begins with the windows of again, which were complete before.
func (r *run) readSpan(ctx context.Context, w *walker, t *turn, again archive.Span) (whole bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	open := t.walks[0]
	t.walks, t.cut = t.walks[1:], false
	err = w.walk(ctx, open)

	var cut *errCut
	if errors.As(err, &cut) {
		t.walks, t.cut = append(newWalks(cut.pieces), t.walks...), true
		return false, nil
	}
	if err != nil && again.Windows() > 0 {
		// The windows read again stay complete, and do not count in this run.
		r.progress.Update(func(p *archive.Totals) { p.Windows -= int64(again.Windows()) })
		open.Span.From = again.To
	}
	if err != nil || r.order.Force {
		// The pages read so far are committed before the span is marked.
		if flushed := w.keeper.flush(); flushed != nil {
			return false, flushed
		}
	}
	var short *archive.ShortError
	var failed *archive.SourceError
	switch {
	case err == nil:
		whole, t.failures = true, 0
		if r.order.Force {
			if err := r.recount(ctx, w, open.Span); err != nil {
				return false, err
			}
		}
	case errors.As(err, &short):
		t.failures = 0 // the source has answered
		r.notComplete(w.function, open.Span, err)
	case errors.Is(err, archive.ErrGone) && context.Cause(ctx) == nil:
		return false, r.markGone(ctx, w, append([]archive.Walk{open}, t.walks...))
	case ends(ctx, err) != nil:
		return false, ends(ctx, err)
	case errors.As(err, &failed):
		t.failures++
		if err := w.claim.Fail(ctx, open.Span, archive.Refusal{Reason: failed.Error()}, r.Clock.Now()); err != nil {
			return false, fmt.Errorf("note that %s failed: %w", w.function.Name, err)
		}
		r.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateFailed, open.Span.Windows()) })
		r.notComplete(w.function, open.Span, err)
	}
	if t.failures < maxFailures {
		return whole, nil
	}
	// The run counts the remaining windows as failed. In the archive their states
	// do not change.
	r.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateFailed, windows(t.walks)) })
	t.walks = nil
	return false, nil
}

// recount counts the rows of the span's windows again: another program may have
// changed rows, and these counts are what verify compares with the source's.
func (r *run) recount(ctx context.Context, w *walker, s archive.Span) error {
	if err := w.claim.Recount(ctx, s); err != nil {
		return fmt.Errorf("count what was read of %s %s: %w", w.function.Name, s, err)
	}
	return nil
}

// readAgain reads complete spans again, and reports whether all of them are
// complete afterwards.
func (r *run) readAgain(ctx context.Context, w *walker, spans []archive.Span) (whole bool, err error) {
	t := turn{walks: newWalks(spans)}
	r.progress.Update(func(p *archive.Totals) { p.Windows += int64(windows(t.walks)) })
	whole = true
	for len(t.walks) > 0 && !w.gone {
		ok, err := r.readSpan(ctx, w, &t, archive.Span{})
		if err != nil {
			return false, err
		}
		whole = whole && (ok || t.cut) // the pieces of a cut span are read next
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
		return r.markGone(ctx, w, nil)
	}
	if end := ends(ctx, err); end != nil {
		return end
	}
	r.progress.Update(func(t *archive.Totals) { t.Left++ })
	r.notComplete(w.function, s, err)
	return nil
}

// markGone notes that the source does not know the function, and that the windows of
// the remaining walks are gone. This is no error of the run: the source has no more
// records of the function.
func (r *run) markGone(ctx context.Context, w *walker, remaining []archive.Walk) error {
	due := make([]archive.Span, len(remaining))
	for i, open := range remaining {
		due[i] = open.Span
	}
	if err := w.claim.Gone(ctx, due, r.Clock.Now()); err != nil {
		return fmt.Errorf("note that %s is gone: %w", w.function.Name, err)
	}
	w.gone = true
	r.progress.Update(func(p *archive.Totals) { p.Decided(archive.StateGone, windows(remaining)) })
	r.Log.Warn("function is gone, its history stays", "function", w.function.URN, "windows", windows(remaining))
	return nil
}

// notComplete logs a span that did not become complete, and keeps the error for the
// run's summary.
func (r *run) notComplete(f archive.Function, s archive.Span, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) < maxFailuresKept {
		r.failures = append(r.failures, archive.Failure{Function: f, Span: s, Err: err})
	}
	r.Log.Warn("span is not complete", append([]any{"function", f.URN,
		"from", s.From.Format(time.RFC3339), "to", s.To.Format(time.RFC3339)}, archive.ErrorKeys(err)...)...)
}
