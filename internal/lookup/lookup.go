// Package lookup asks a source, live, what the archive would be asked. It keeps
// nothing.
package lookup

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"archiver/internal/archive"
)

// An Asked is one look-up.
type Asked struct {
	Function archive.Function
	Question archive.Question
	Limit    int // so many of the newest, newest first; 0 for all, as the source lists them
	Ahead    int // pages that may be asked for before their turn where all are read
}

// A Found is what came of a look-up.
type Found struct {
	Shown   int
	More    bool // others match
	Outside int  // records that came back and start outside of what was asked for
	Missing int  // records that the source counted and did not give
	// Rejected are records without what a row needs, Reason is what the first of
	// them lacks.
	Rejected int
	Reason   string
}

// Live asks the source and shows each record that matches once, with its times
// to the microsecond, as the archive has them. Where the source fails, or show
// does, what was found before is shown all the same.
func Live(ctx context.Context, source archive.Source, a Asked, show func(archive.Invocation) error) (Found, error) {
	l := &look{Asked: a, query: a.Question.Query(a.Function), show: show, seed: maphash.MakeSeed(), seen: make(map[uint64]struct{})}
	l.query.Search, l.query.Newest = true, true
	if a.Limit == 0 && a.Question.RequestID == "" {
		l.query.Ahead = l.may
	}
	err := l.pages(ctx, source)
	l.keepNewest()
	for i := range l.newest {
		if shown := l.out(l.newest[i].Invocation); shown != nil && err == nil {
			err = shown
		}
	}
	return l.found, err
}

// A look is a look-up that is under way.
type look struct {
	Asked
	query  archive.Query
	show   func(archive.Invocation) error
	found  Found
	newest []placed // with a Limit: those to show, in no order
	seed   maphash.Seed
	seen   map[uint64]struct{} // of the request ids so far: a list that moves repeats some
	order  order
	ahead  int // pages asked for before their turn
}

// may reports whether one more page may be asked for before its turn.
func (l *look) may() bool {
	if l.ahead >= l.Ahead {
		return false
	}
	l.ahead++
	return true
}

func (l *look) pages(ctx context.Context, source archive.Source) error {
	elements := 0
	for page, err := range source.Pages(ctx, l.query) {
		if err != nil {
			return fmt.Errorf("ask for %s: %w", l.Function.URN, err)
		}
		l.ahead = page.Ahead
		for i := range page.Rejected {
			if l.found.Rejected++; l.found.Reason == "" {
				l.found.Reason = page.Rejected[i].Reason
			}
		}
		elements += len(page.Rejected)
		for _, inv := range page.Invocations {
			if l.again(inv.RequestID) {
				continue
			}
			elements++
			if err := l.take(inv); err != nil {
				page.Release()
				return err
			}
		}
		if l.Limit > 0 && len(l.newest) > l.Limit {
			l.keepNewest()
		}
		if l.enough(page.Lists) {
			page.Release()
			l.found.Missing = 0
			return nil
		}
		l.found.Missing = max(0, page.Count-elements) // as of the last page
	}
	return context.Cause(ctx)
}

func (l *look) again(id string) bool {
	h := maphash.String(l.seed, id)
	_, again := l.seen[h]
	l.seen[h] = struct{}{}
	return again
}

// take takes in a record.
func (l *look) take(inv archive.Invocation) error {
	inv.Start, inv.End = inv.Start.Truncate(time.Microsecond), inv.End.Truncate(time.Microsecond)
	place := l.order.place(inv.Start, l.query.To)
	switch {
	case !l.Question.Matches(&inv):
		if !inv.Start.IsZero() && (inv.Start.Before(l.query.From) || inv.Start.After(l.query.To)) {
			l.found.Outside++
		}
		return nil
	case l.Limit == 0:
		return l.out(inv)
	}
	l.newest = append(l.newest, placed{inv, place})
	return nil
}

// keepNewest sorts the records to show, newest first, and drops those beyond the
// limit. Records of the same time are in the order of their ids.
func (l *look) keepNewest() {
	slices.SortFunc(l.newest, func(a, b placed) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.RequestID, b.RequestID))
	})
	if len(l.newest) > l.Limit {
		l.newest, l.found.More = l.newest[:l.Limit], true
	}
}

// placed is a record with its place in time.
type placed struct {
	archive.Invocation
	at time.Time
}

func (l *look) out(inv archive.Invocation) error {
	if err := l.show(inv); err != nil {
		return fmt.Errorf("show %s: %w", inv.RequestID, err)
	}
	l.found.Shown++
	return nil
}

// enough reports whether later pages need not be read: the one record asked for is
// found, or Limit records are newer than all later ones. No API promises an order:
// if all records so far came newest first, the later ones are assumed to do so.
func (l *look) enough(lists int) bool {
	if l.Question.RequestID != "" {
		return l.found.Shown+len(l.newest) > 0
	}
	return l.found.More && lists == 0 && !l.order.rose && l.order.last.Before(l.newest[len(l.newest)-1].at)
}

// An order is that in which records come, as far as their starts show it.
type order struct {
	last time.Time // start of the last record that has one
	rose bool      // one was newer than the one before it
}

// place takes in a start, and is where the record stands among the others: one
// that has none stands where the source lists it.
func (o *order) place(start, end time.Time) time.Time {
	if start.IsZero() {
		if o.last.IsZero() {
			return end
		}
		return o.last
	}
	o.rose = o.rose || !o.last.IsZero() && start.After(o.last)
	o.last = start
	return start
}
