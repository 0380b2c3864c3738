package loop

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"archiver/internal/archive"
)

const (
	opPlan      = "plan"
	opInFlight  = "in flight"
	opFollow    = "follow"
	opRechecked = "rechecked"
	opCount     = "count"
	opVerified  = "verified"
	opDiffers   = "differs"
)

// inFlight are a function's records in flight that an order asks for again. In the fake they are
// always due.
func (db *database) inFlight(id int32, o archive.Order) (records []archive.InFlightRecord) {
	for _, r := range db.rows {
		if r.function == id && r.InFlight() && (o.Follow || o.FollowRange && o.Range.Holds(archive.WindowOf(r.Start))) {
			records = append(records, archive.InFlightRecord{RequestID: r.RequestID, Window: archive.WindowOf(r.Start)})
		}
	}
	slices.SortFunc(records, func(a, b archive.InFlightRecord) int {
		return cmp.Or(a.Window.Compare(b.Window), cmp.Compare(a.RequestID, b.RequestID))
	})
	return records
}

// unverified are a function's windows to compare. In the fake their time has
// always come.
func (db *database) unverified(id int32, o archive.Order) (windows []time.Time) {
	for w, r := range db.windows[id] {
		if r.state == archive.StateComplete && (o.Compare && o.Range.Holds(w) || o.VerifyAfter > 0 && !r.verified) {
			windows = append(windows, w)
		}
	}
	slices.SortFunc(windows, time.Time.Compare)
	return windows
}

// complete are a function's complete windows from the first that is not
// verified.
func (db *database) complete(id int32, o archive.Order) (windows []archive.Complete) {
	if o.Compare || o.VerifyAfter == 0 {
		return nil
	}
	for _, start := range slices.SortedFunc(maps.Keys(db.windows[id]), time.Time.Compare) {
		w := db.windows[id][start]
		if w.state != archive.StateComplete || len(windows) == 0 && w.verified {
			continue
		}
		c := archive.Complete{Window: start, Verify: !w.verified}
		for _, r := range db.rows {
			if r.function == id && archive.WindowOf(r.Start).Equal(start) {
				c.Records++
			}
		}
		windows = append(windows, c)
	}
	return windows
}

func (c *fakeClaim) InFlight(ctx context.Context, o archive.Order, _ time.Time) (records []archive.InFlightRecord, err error) {
	err = c.fenced(ctx, opInFlight, func() error {
		records = c.store.inFlight(c.function.ID, o)
		return nil
	})
	return records, err
}

func (c *fakeClaim) Follow(ctx context.Context, _ archive.InFlightRecord, found []archive.Invocation, _ []archive.Rejected, _ time.Time) (kept archive.Kept, err error) {
	err = c.fenced(ctx, opFollow, func() error {
		for _, inv := range found {
			if old := c.store.rows[inv.RequestID]; inv.InFlight() && !old.InFlight() {
				continue
			}
			c.store.rows[inv.RequestID] = row{inv, c.function.ID}
			kept.Updated++
		}
		return nil
	})
	return kept, err
}

func (c *fakeClaim) Rechecked(ctx context.Context, _ []time.Time, _ time.Time) (int, error) {
	return 0, c.fenced(ctx, opRechecked, func() error { return nil })
}

func (c *fakeClaim) Count(ctx context.Context, s archive.Span, _ bool) (n archive.Counted, err error) {
	err = c.fenced(ctx, opCount, func() error {
		around := make(map[time.Time]int) // by second
		for _, r := range c.store.rows {
			if r.function != c.function.ID {
				continue
			}
			if around[r.Start.Truncate(time.Second)]++; s.Holds(r.Start) {
				n.Records++
			}
		}
		n.From, n.To = s.From, s.To.Add(-time.Second)
		before, after := s.From.Add(-time.Second), s.To
		if around[after] > 0 {
			after = after.Add(time.Second)
		}
		if n.Quiet = around[before]+around[after] == 0; n.Quiet {
			n.From, n.To, n.Records = before, after, n.Records+around[s.To]
		}
		return nil
	})
	return n, err
}

func (c *fakeClaim) Verified(ctx context.Context, s archive.Span, _ time.Time) error {
	return c.fenced(ctx, opVerified, func() error {
		for w := s.From; w.Before(s.To); w = w.Add(archive.Hour) {
			r := c.store.windows[c.function.ID][w]
			r.verified = true
			c.store.windows[c.function.ID][w] = r
		}
		return nil
	})
}

func (c *fakeClaim) Differs(ctx context.Context, window time.Time, d *archive.ShortError) error {
	return c.fenced(ctx, opDiffers, func() error {
		c.store.windows[c.function.ID][window] = windowRow{state: archive.StateShort, count: d.Count, err: d.Error()}
		return nil
	})
}

func (c *fakeClaim) Recount(ctx context.Context, _ archive.Span) error {
	return c.fenced(ctx, opCount, func() error { return nil })
}

// Plan keeps nothing: what the fake has of windows are their decisions.
func (s *fakeStore) Plan(ctx context.Context, _ []archive.Due, _ archive.Order) error {
	return s.do(ctx, opPlan, func() error { return nil })
}

func (c *fakeClaim) Missing(ctx context.Context, _ archive.Span, page []archive.Invocation) (n int, err error) {
	err = c.fenced(ctx, opCount, func() error {
		for i := range page {
			if _, there := c.store.rows[page[i].RequestID]; !there {
				n++
			}
		}
		return nil
	})
	return n, err
}
