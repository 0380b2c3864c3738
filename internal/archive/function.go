package archive

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"
)

// maxFailures is how many spans in a row may fail before the rest of a
// function is left for the next run: a source that is down is not asked for
// every span of every function.
const maxFailures = 2

// function claims one function and reads what is due of it. The errors it
// returns end the run, but for ErrClaimed and ErrClaimLost: then another
// worker has the function.
func (r *run) function(ctx context.Context, due Due) (err error) {
	claim, err := r.Store.Claim(ctx, due.Known)
	if err != nil {
		return fmt.Errorf("claim %s: %w", due.Name, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(ctx, claim, cancel)
	}()
	defer func() {
		// Whatever a lost claim made fail says no more than that it was lost.
		if err != nil && errors.Is(context.Cause(ctx), ErrClaimLost) {
			err = ErrClaimLost
		}
		cancel(nil)
		<-renewed
		release, stop := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
		defer stop()
		// A claim that cannot be released runs out by itself.
		if released := claim.Release(release); released != nil && err == nil {
			err = fmt.Errorf("release %s: %w", due.Name, released)
		}
	}()

	work, err := claim.Work(ctx, r.order, r.began)
	if err != nil {
		return fmt.Errorf("find what is due of %s: %w", due.Name, err)
	}
	queue := work.Open
	for _, s := range Spans(work.Windows) {
		queue = append(queue, Walk{Span: s})
	}
	windows := 0
	for _, open := range queue {
		windows += open.Span.Windows()
	}
	// Walks left open may reach beyond what this run was asked for.
	r.progress.windows.Add(int64(max(0, windows-due.Windows)))
	w := &walker{
		source: r.Source, claim: claim, clock: r.Clock, function: due.Function,
		seed: maphash.MakeSeed(), progress: r.progress,
	}
	if err := r.spans(ctx, w, queue); err != nil || w.gone {
		return err
	}
	if r.order.Follow {
		if err := r.settle(ctx, w); err != nil || w.gone {
			return err
		}
	}
	return r.verify(ctx, w, work.Verify)
}

// renew keeps the claim while the function is worked on, however long its
// calls take, and ends the work where the claim is lost.
func (r *run) renew(ctx context.Context, claim Claim, cancel context.CancelCauseFunc) {
	for r.Clock.Sleep(ctx, ClaimLife/3) == nil {
		if err := claim.Renew(ctx); errors.Is(err, ErrClaimLost) {
			cancel(err)
			return
		}
	}
}

// spans reads the spans of a function, one after the other.
func (r *run) spans(ctx context.Context, w *walker, queue []Walk) error {
	failures := 0
	for len(queue) > 0 && failures < maxFailures {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		open := queue[0]
		queue = queue[1:]
		err := w.walk(ctx, open)

		var cut *errCut
		var short *ShortError
		var failed *SourceError
		switch {
		case err == nil:
			failures = 0
			if r.order.Force {
				if err := w.claim.Recount(ctx, open.Span); err != nil {
					return fmt.Errorf("count what was read of %s %s: %w", w.function.Name, open.Span, err)
				}
			}
			r.progress.decided(StateComplete, open.Span.Windows())
		case errors.As(err, &cut):
			var pieces []Walk
			for _, s := range cut.pieces {
				pieces = append(pieces, Walk{Span: s})
			}
			queue = append(pieces, queue...)
		case errors.As(err, &short):
			failures = 0 // the source has answered
			r.progress.decided(StateShort, open.Span.Windows())
			r.trouble(w.function, open.Span, err)
		case errors.Is(err, ErrGone) && context.Cause(ctx) == nil:
			return r.gone(ctx, w, append([]Walk{open}, queue...))
		case ends(ctx, err) != nil:
			return ends(ctx, err)
		case errors.As(err, &failed):
			failures++
			if err := w.claim.Fail(ctx, open.Span, failed.Error(), r.Clock.Now()); err != nil {
				return fmt.Errorf("note that %s failed: %w", w.function.Name, err)
			}
			r.progress.decided(StateFailed, open.Span.Windows())
			r.trouble(w.function, open.Span, err)
		}
	}
	// What is left of a function that keeps failing is as good as failed in
	// this run; its windows stay as they were.
	for _, left := range queue {
		r.progress.decided(StateFailed, left.Span.Windows())
	}
	return nil
}

// reread reads spans that are complete once more.
func (r *run) reread(ctx context.Context, w *walker, spans []Span) error {
	var queue []Walk
	for _, s := range spans {
		queue = append(queue, Walk{Span: s})
		r.progress.windows.Add(int64(s.Windows()))
	}
	return r.spans(ctx, w, queue)
}

// ends is the error of a span that ends the run as well: the user stopped it,
// the source denies us, or it is the archive's own. It is nil for others.
func ends(ctx context.Context, err error) error {
	var failed *SourceError
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return cause
	case !errors.As(err, &failed) || errors.Is(err, ErrDenied):
		return err
	}
	return nil
}

// survive takes in an error of a call that was made beside reading windows:
// what it was for is left to the next run, and said, unless it ends this one.
func (r *run) survive(ctx context.Context, w *walker, s Span, err error) error {
	if errors.Is(err, ErrGone) && context.Cause(ctx) == nil {
		return r.gone(ctx, w, nil)
	}
	if end := ends(ctx, err); end != nil {
		return end
	}
	r.progress.left.Add(1)
	r.trouble(w.function, s, err)
	return nil
}

// gone notes that the source does not know the function. That is not an error:
// all that the source would still give is kept.
func (r *run) gone(ctx context.Context, w *walker, left []Walk) error {
	windows := 0
	due := make([]Span, len(left))
	for i, open := range left {
		due[i] = open.Span
		windows += open.Span.Windows()
	}
	if err := w.claim.Gone(ctx, due, r.Clock.Now()); err != nil {
		return fmt.Errorf("note that %s is gone: %w", w.function.Name, err)
	}
	w.gone = true
	r.progress.decided(StateGone, windows)
	r.Log.Warn("function is gone, its history stays", "function", w.function.URN, "windows", windows)
	return nil
}

// trouble notes a span that did not become complete.
func (r *run) trouble(f Function, s Span, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) < maxFailuresKept {
		r.failures = append(r.failures, Failure{Function: f, Span: s, Err: err})
	}
	r.Log.Warn("span is not complete", "function", f.URN,
		"from", s.From.Format(time.RFC3339), "to", s.To.Format(time.RFC3339), "error", err)
}
