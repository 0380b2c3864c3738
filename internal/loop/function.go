package loop

import (
	"cmp"
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
	claim, err := r.claim(ctx, t.Known)
	if err != nil {
		return nil, err
	}
	commits, stop := grace(ctx, r.Clock, commitsEnd)
	defer stop()
	running := ctx
	ctx, cancel := context.WithCancelCause(running)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(ctx, claim, cancel)
	}()
	slots := newFunctionSlots(r.slots)
	keeper := newKeeper(commits, claim, t.Known, r.progress, r.patience, slots, cancel)
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
		if released := r.releaseClaim(running, claim, t.Known); released != nil && err == nil {
			err = released
		}
	}()

	work, err := claim.Work(ctx, r.order, r.began)
	if err != nil {
		return nil, fmt.Errorf("find what is due of %s: %w", t.Name, err)
	}
	w := &walker{
		run: r, claim: claim, keeper: keeper, function: t.Known, seed: maphash.MakeSeed(), slots: slots,
		begun: make(map[time.Time]archive.Begun, len(work.Begun)),
	}
	for _, b := range work.Begun {
		w.begun[b.Window] = b
	}
	t.walks = r.walksOf(&work, w, t.ID)
	r.forecast.begin(t.ID, t.walks)
	var later []archive.Walk
	if len(t.walks) > 0 {
		for _, open := range t.walks {
			w.newest = latest(w.newest, open.Span.To.Add(-archive.Hour))
		}
		// Walks that an earlier run left open may reach beyond the range of this run.
		r.progress.Update(func(p *archive.Totals) { p.Windows += int64(max(0, windows(t.walks)-t.Windows)) })
		if state := r.gaveUpAs(t.ID); state != "" {
			r.leave(t.walks, state)
			return nil, nil
		}
		if r.newestOnly {
			if w.newest.Add(archive.Hour).Before(r.order.Range.To) {
				return nil, nil // another process has read it
			}
			later = w.keepNewest(&t)
		}
	}
	for len(t.walks) > 0 {
		if err := r.readNext(ctx, w, &t, &work); err != nil || w.gone {
			return nil, err
		}
		if r.newestOnly && t.cut {
			later = append(later, w.keepNewest(&t)...)
		}
		if len(t.walks) > 0 && !r.newestOnly && (r.slots.otherProcess.Load() || r.queue.before(t.walks[0].Span.From, w.refused(t.walks[0]))) {
			// The walks made so far are decided only once their pages are committed.
			if err := keeper.flush(); err != nil {
				return nil, err
			}
			if r.gaveUpAs(t.ID) == archive.StatePending {
				return nil, nil
			}
			if err := w.proveDoubted(ctx); err != nil || w.gone {
				return nil, err
			}
			return w.suspend(t), nil
		}
	}
	if err := keeper.flush(); err != nil {
		return nil, err
	}
	if err := r.learned.keep(ctx, r.Store, r.Source.ID()); err != nil {
		return nil, err
	}
	if r.gaveUpAs(t.ID) == archive.StatePending {
		return nil, nil
	}
	if err := w.proveDoubted(ctx); err != nil || w.gone || len(later) > 0 {
		return nil, err // with later walks the function has another turn
	}
	if r.order.Follow || r.order.FollowRange {
		if err := r.followInFlight(ctx, w); err != nil || w.gone {
			return nil, err
		}
	}
	if r.gaveUpAs(t.ID) == archive.StatePending {
		return nil, nil
	}
	if err := r.verify(ctx, w, work.Verify); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[t.ID] = true
	return nil, nil
}

// claim claims a function. A claim that is taken while the run ends has to be released:
// so the end of ctx does not hide that it was taken.
func (r *run) claim(ctx context.Context, f archive.Known) (archive.Claim, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	claiming, stop := grace(ctx, r.Clock, lastCall)
	defer stop()
	claim, err := r.Store.Claim(claiming, f)
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", f.Name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[f.ID] = true
	return claim, nil
}

// releaseClaim releases a claim, also after the end of ctx. If that fails, the claim expires
// after ClaimLife.
func (r *run) releaseClaim(ctx context.Context, claim archive.Claim, f archive.Known) error {
	releasing, stop := grace(ctx, r.Clock, lastCall)
	defer stop()
	if err := claim.Release(releasing); err != nil {
		return fmt.Errorf("release %s: %w", f.Name, err)
	}
	return nil
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

// keepNewest leaves the turn only the walk of the newest window, and returns the others.
func (w *walker) keepNewest(t *turn) (others []archive.Walk) {
	var newest []archive.Walk
	for _, open := range t.walks {
		if open.Span.Holds(w.newest) {
			newest = append(newest, open)
		} else {
			others = append(others, open)
		}
	}
	t.walks = newest
	return others
}

// suspend returns the turn as the queue holds it.
func (w *walker) suspend(t turn) *turn {
	t.Oldest, t.Windows, t.stuck = t.walks[0].Span.From, windows(t.walks), w.refused(t.walks[0])
	t.walks = nil
	return &t
}

// walksOf returns the walks to make, oldest first: the walks left open by an earlier
// run, and new walks for the other windows. Windows of which a part is known to fail come
// last, each alone, those last of which nothing smaller can be asked. walksOf leaves out
// what this run has read.
func (r *run) walksOf(work *archive.Work, w *walker, function int32) []archive.Walk {
	r.mu.Lock()
	decided := r.decided[function]
	r.mu.Unlock()
	read := func(s archive.Span) bool { return slices.ContainsFunc(decided, s.Overlaps) }
	var due []time.Time
	var refused []archive.Span
	for _, hour := range work.Windows {
		switch s := (archive.Span{From: hour, To: hour.Add(archive.Hour)}); {
		case read(s):
		case !w.begun[hour].Refused.From.IsZero():
			refused = append(refused, s)
		default:
			due = append(due, hour)
		}
	}
	walks := append(slices.Clone(work.Open), newWalks(archive.Spans(due))...)
	walks = append(slices.DeleteFunc(walks, func(open archive.Walk) bool { return read(open.Span) }), newWalks(refused)...)
	slices.SortFunc(walks, func(a, b archive.Walk) int {
		return cmp.Or(cmp.Compare(w.narrowedTo(a), w.narrowedTo(b)), a.Span.From.Compare(b.Span.From))
	})
	return walks
}

// refused reports whether a walk is of one window of which a part is known to fail.
func (w *walker) refused(open archive.Walk) bool {
	return open.Span.Windows() == 1 && !w.begun[open.Span.From].Refused.From.IsZero()
}

// narrowedTo is 0 for a walk that is not refused, 1 if the part that fails can be narrowed
// further, and 2 if not.
func (w *walker) narrowedTo(open archive.Walk) int {
	switch refused := w.begun[open.Span.From].Refused; {
	case !w.refused(open):
		return 0
	case (question{from: refused.From, to: refused.To}).narrowest():
		return 2
	default:
		return 1
	}
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
	whole, err := r.readSpan(ctx, w, t, again.Span, again.Span)
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
