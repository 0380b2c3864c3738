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

// readFunction claims one function and reads its due windows. It returns ErrClaimed
// or ErrClaimLost if another worker has the function. Every other error ends the
// run.
//
// After a span, readFunction releases the claim early if a function with older
// windows waits, or if another process works on the same functions. Then it returns
// the turn with the walks that remain.
func (r *run) readFunction(ctx context.Context, t turn) (remaining *turn, err error) {
	claim, err := r.Store.Claim(ctx, t.Known)
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", t.Name, err)
	}
	commits, stop := grace(ctx, r.Clock, commitsEnd)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(ctx, claim, cancel)
	}()
	slots := newFunctionSlots(r.slots)
	keeper := newKeeper(commits, claim, t.Function, r.progress, slots, cancel)
	defer func() {
		if closed := keeper.close(); closed != nil && err == nil {
			err = closed
		}
		// If the claim was lost, report only that: other errors follow from it.
		if err != nil && errors.Is(context.Cause(ctx), archive.ErrClaimLost) {
			err = archive.ErrClaimLost
		}
		cancel(nil)
		<-renewed
		release, stop := context.WithTimeout(context.WithoutCancel(ctx), commitGrace)
		defer stop()
		// If the release fails, the claim expires after ClaimLife.
		if released := claim.Release(release); released != nil && err == nil {
			err = fmt.Errorf("release %s: %w", t.Name, released)
		}
	}()

	work, err := claim.Work(ctx, r.order, r.began)
	if err != nil {
		return nil, fmt.Errorf("find what is due of %s: %w", t.Name, err)
	}
	t.walks = walksOf(&work, t.decidedTo)
	// Walks that an earlier run left open may reach beyond the range of this run.
	r.progress.Update(func(p *archive.Totals) { p.Windows += int64(max(0, windows(t.walks)-t.Windows)) })
	w := &walker{
		source: r.Source, claim: claim, keeper: keeper, clock: r.Clock, function: t.Function,
		seed: maphash.MakeSeed(), slots: slots, endRun: r.end,
		versioned: t.Versioned,
	}
	for len(t.walks) > 0 {
		if err := r.readNext(ctx, w, &t, &work); err != nil || w.gone {
			return nil, err
		}
		if len(t.walks) > 0 && (r.slots.otherProcess.Load() || r.queue.older(t.walks[0].Span.From)) {
			// The walks made so far are decided only once their pages are committed.
			if err := keeper.flush(); err != nil {
				return nil, err
			}
			return r.suspend(t), nil
		}
	}
	if err := keeper.flush(); err != nil {
		return nil, err
	}
	if err := r.readSettings(ctx, w, &t); err != nil {
		return nil, err
	}
	if r.order.Follow {
		if err := r.followInFlight(ctx, w); err != nil || w.gone {
			return nil, err
		}
	}
	return nil, r.verify(ctx, w, work.Verify)
}

// renew renews the claim until ctx ends. If the claim is lost, renew cancels the
// work on the function. After any other error, it tries again a third of ClaimLife
// later.
func (r *run) renew(ctx context.Context, claim archive.Claim, cancel context.CancelCauseFunc) {
	for r.Clock.Sleep(ctx, archive.ClaimLife/3) == nil {
		if err := claim.Renew(ctx); errors.Is(err, archive.ErrClaimLost) {
			cancel(err)
			return
		}
	}
}

// suspend returns the turn as the queue holds it, and notes which windows of the
// function this run has decided.
func (r *run) suspend(t turn) *turn {
	t.decidedTo = t.walks[0].Span.From
	t.Oldest, t.Windows = t.decidedTo, windows(t.walks)
	t.walks = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decidedTo[t.ID] = t.decidedTo
	return &t
}

// walksOf returns the walks to make, oldest first: the walks left open by an
// earlier run, and new walks for the other windows. It leaves out walks that begin
// before decidedTo: this run has decided their windows.
func walksOf(w *archive.Work, decidedTo time.Time) []archive.Walk {
	walks := append(slices.Clone(w.Open), newWalks(archive.Spans(w.Windows))...)
	walks = slices.DeleteFunc(walks, func(open archive.Walk) bool { return open.Span.From.Before(decidedTo) })
	slices.SortFunc(walks, func(a, b archive.Walk) int { return a.Span.From.Compare(b.Span.From) })
	return walks
}

// newWalks returns a walk for each span, from its first page.
func newWalks(spans []archive.Span) []archive.Walk {
	walks := make([]archive.Walk, len(spans))
	for i, s := range spans {
		walks[i].Span = s
	}
	return walks
}

// windows returns the number of windows in the spans of the walks.
func windows(walks []archive.Walk) (n int) {
	for _, open := range walks {
		n += open.Span.Windows()
	}
	return n
}

// readNext makes the first walk of the turn. Where possible, that walk also
// verifies the complete windows before it.
func (r *run) readNext(ctx context.Context, w *walker, t *turn, work *archive.Work) error {
	var again reread
	if t.LatestID == 0 { // the archive may hold few of the records that another version lists
		again = rereadBefore(work, &t.walks[0])
	}
	r.progress.Update(func(p *archive.Totals) { p.Windows += int64(again.Windows()) })
	whole, err := r.readSpan(ctx, w, t, again.Span)
	if err != nil || w.gone {
		return err
	}
	if !whole {
		// The store has the open walk, or walks of its pieces, under the hours where
		// they begin: rereadBefore must not move these.
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
