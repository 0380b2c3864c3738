package loop

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"archiver/internal/archive"
)

// A fakeClaim is one worker's hold on one function.
type fakeClaim struct {
	store    *fakeStore
	function archive.Known
	epoch    int
	server   string
}

// of is the function that an operation under a claim is about.
func of(ctx context.Context) archive.Function {
	f, _ := ctx.Value(about{}).(archive.Function)
	return f
}

type about struct{}

// fenced is a transaction that keeps nothing where the claim was lost.
func (c *fakeClaim) fenced(ctx context.Context, op string, f func() error) error {
	return c.store.do(context.WithValue(ctx, about{}, c.function.Function), op, func() error {
		held := c.store.claims[c.function.ID]
		if c.server != c.store.server {
			return errAway
		}
		if held.epoch != c.epoch {
			return archive.ErrClaimLost
		}
		if held.store == nil {
			c.store.t.Errorf("%s of %s after its claim was released", op, c.function.Name)
		}
		return f()
	})
}

func (c *fakeClaim) prolong() {
	c.store.claims[c.function.ID].expires = c.store.clock.Now().Add(archive.ClaimLife)
}

func (c *fakeClaim) Work(ctx context.Context, o archive.Order, _ time.Time) (work archive.Work, err error) {
	err = c.fenced(ctx, opWork, func() error {
		for _, from := range slices.SortedFunc(maps.Keys(c.store.walks[c.function.ID]), time.Time.Compare) {
			if open := c.store.walks[c.function.ID][from]; o.Older || open.Span.Overlaps(o.Range) {
				work.Open = append(work.Open, open)
			}
		}
		for _, w := range c.store.due(c.function.ID, o) {
			walked := false
			for _, open := range c.store.walks[c.function.ID] {
				walked = walked || open.Span.Holds(w)
			}
			if !walked {
				work.Windows = append(work.Windows, w)
			}
		}
		for hour, w := range c.store.windows[c.function.ID] {
			if w.state == archive.StateFailed || w.state == archive.StateShort || w.state == archive.StatePartial {
				b := archive.Begun{Window: hour, Counted: max(0, w.count), Refused: w.refusal.Smallest}
				b.Held = max(c.held(hour), b.Counted)
				work.Begun = append(work.Begun, b)
			}
		}
		work.Verify = c.store.unverified(c.function.ID, o)
		work.Complete = c.store.complete(c.function.ID, o)
		return nil
	})
	return work, err
}

// held is how many records with a start are archived of a window.
func (c *fakeClaim) held(hour time.Time) (n int) {
	for _, r := range c.store.rows {
		if r.function == c.function.ID && !r.Start.IsZero() && archive.WindowOf(r.Start).Equal(hour) {
			n++
		}
	}
	return n
}

func (c *fakeClaim) Held(ctx context.Context, windows []time.Time) (held map[time.Time]archive.Held, err error) {
	held = make(map[time.Time]archive.Held)
	err = c.fenced(ctx, opCount, func() error {
		for _, hour := range windows {
			held[hour] = archive.Held{Records: c.held(hour)}
		}
		return nil
	})
	return held, err
}

func (c *fakeClaim) Archived(ctx context.Context, span archive.Span) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var ids []string
		err := c.fenced(ctx, opArchived, func() error {
			for id, r := range c.store.rows {
				in := !r.Start.Before(span.From.Add(-time.Second)) && !r.Start.After(span.To.Add(time.Second))
				if r.function == c.function.ID && (in || r.Start.IsZero()) {
					ids = append(ids, id)
				}
			}
			return nil
		})
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

func (c *fakeClaim) Commit(ctx context.Context, b archive.Batch) (kept archive.Kept, err error) {
	db := c.store.database
	err = c.fenced(ctx, opCommit, func() error {
		ids := make(map[string]bool)
		for i := range b.Invocations {
			inv := &b.Invocations[i]
			if ids[inv.RequestID] {
				db.t.Errorf("request id %q is twice in a batch", inv.RequestID)
			}
			ids[inv.RequestID] = true
			old, there := db.rows[inv.RequestID]
			switch {
			case !there:
				kept.Inserted++
			case inv.InFlight() && !old.InFlight(), old.Status == inv.Status && old.Start.Equal(inv.Start):
				kept.Unchanged++
				continue
			default:
				kept.Updated++
			}
			db.rows[inv.RequestID] = row{*inv, c.function.ID}
		}
		for _, r := range b.Rejected {
			key := c.function.URN + " " + string(r.Payload)
			if _, there := db.rejected[key]; !there {
				kept.Rejected++
			}
			db.rejected[key] = r
		}
		if b.Outcome != nil && len(b.Pieces) > 0 {
			db.t.Error("a batch both decides its windows and leaves walks of them")
		}
		if db.walks[c.function.ID] == nil {
			db.walks[c.function.ID] = make(map[time.Time]archive.Walk)
		}
		walks := db.walks[c.function.ID]
		closeWalks(walks, b.Walk.Span)
		switch {
		case b.Outcome != nil:
			db.decide(c.function.ID, b.Walk.Span, *b.Outcome)
		case len(b.Pieces) > 0:
			for _, s := range b.Pieces {
				walks[s.From] = archive.Walk{Span: s}
			}
			db.decide(c.function.ID, b.Walk.Span, archive.Outcome{State: archive.StatePartial})
		default:
			walks[b.Walk.Span.From] = b.Walk
			db.decide(c.function.ID, b.Walk.Span, archive.Outcome{State: archive.StatePartial})
		}
		db.batches = append(db.batches, committedBatch{c.function.URN, c.store.owner, b})
		c.prolong()
		return nil
	})
	db.committed(c.function.URN, len(b.Invocations)+len(b.Rejected))
	if err != nil {
		return archive.Kept{}, err
	}
	return kept, nil
}

// closeWalks deletes the walks that overlap a span: those of the same hours are never open
// at once.
func closeWalks(walks map[time.Time]archive.Walk, s archive.Span) {
	maps.DeleteFunc(walks, func(_ time.Time, open archive.Walk) bool { return open.Span.Overlaps(s) })
}

// decide writes the state of a span's windows.
func (db *database) decide(id int32, span archive.Span, o archive.Outcome) {
	if span.Windows() < 1 || !archive.WindowOf(span.From).Equal(span.From) || !archive.WindowOf(span.To).Equal(span.To) {
		db.t.Errorf("%s is no span of whole hours", span)
	}
	if db.windows[id] == nil {
		db.windows[id] = make(map[time.Time]windowRow)
	}
	for w := span.From; w.Before(span.To); w = w.Add(archive.Hour) {
		old, known := db.windows[id][w]
		if old.state == archive.StateComplete && o.State != archive.StateComplete && o.State != archive.StateShort {
			continue // what was complete before stays so
		}
		if old.state == archive.StateExpired && (o.State == archive.StatePartial || o.State == archive.StateFailed && len(o.Expired) == 0) {
			continue // so does what was expired, until it is read again
		}
		r := windowRow{state: o.State, err: o.Err, count: -1, refusal: o.Refusal}
		if e, ok := o.Expired[w]; ok {
			r.state, r.expired = archive.StateExpired, e
		}
		if o.Counts != nil {
			r.count = o.Counts[w]
		}
		if known && r.state != archive.StateComplete {
			r.count = max(r.count, old.count)
		}
		if old.state == archive.StateExpired && r.state == archive.StateComplete && r.count >= 0 && r.count < old.count {
			continue // it is not completed by less
		}
		db.windows[id][w] = r
	}
}

func (c *fakeClaim) Fail(ctx context.Context, span archive.Span, r archive.Refusal, _ time.Time) (failed int, err error) {
	err = c.fenced(ctx, opFail, func() error {
		for w := span.From; w.Before(span.To); w = w.Add(archive.Hour) {
			if state := c.store.windows[c.function.ID][w].state; state != archive.StateComplete && state != archive.StateExpired {
				failed++
			}
		}
		c.store.decide(c.function.ID, span, archive.Outcome{State: archive.StateFailed, Err: r.Reason, Refusal: r})
		if r.Stuck || failed == 0 {
			closeWalks(c.store.walks[c.function.ID], span)
		}
		return nil
	})
	return failed, err
}

func (c *fakeClaim) Gone(ctx context.Context, due []archive.Span, _ time.Time) error {
	return c.fenced(ctx, opGone, func() error {
		c.store.functions[c.function.ID-1].gone = true
		delete(c.store.walks, c.function.ID)
		for _, span := range due {
			c.store.decide(c.function.ID, span, archive.Outcome{State: archive.StateGone})
		}
		return nil
	})
}

func (c *fakeClaim) Renew(ctx context.Context) error {
	return c.fenced(ctx, opRenew, func() error {
		c.prolong()
		return nil
	})
}

func (c *fakeClaim) Release(ctx context.Context) error {
	return c.store.do(ctx, opRelease, func() error {
		if held := c.store.claims[c.function.ID]; held.epoch == c.epoch {
			held.store = nil
		}
		return nil
	})
}
