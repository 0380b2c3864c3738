package simulate

import (
	"cmp"
	"iter"
	"slices"
	"sync"
	"time"

	"archiver/internal/simulate/dataset"
)

// scene is what has happened to a function's list so far.
type scene struct {
	mu sync.Mutex

	answers  int // so far
	pages    int // answers while the list drifted
	walkPage int // the page of the walk, from 0
	moves    map[dataset.Position]move
	vanished map[dataset.Position]bool
	arriving map[dataset.Position]int  // the page of the walk before which each arrives
	arrived  map[dataset.Position]bool // records that have arrived, and do not arrive again
	shown    map[dataset.Position]bool // records that were listed and so cannot arrive later

	found []item // reused by collect
}

// move is where a record has moved to.
type move struct {
	seconds int64 // how much later its times are
	rank    int64 // its place if order=none
}

// collect returns all records that match a query, in the order of the list.
func (f *faulter) collect(sc *scene, q query, now time.Time) []item {
	items := sc.found[:0]
	for i := range f.all(sc, q.Function, now) {
		if _, coming := sc.arriving[i.Position]; coming || !f.match(q, &i) {
			continue
		}
		items = append(items, i)
		if i.unusable == 0 && i.draw.of(drawTwice).share() < f.twice {
			items = append(items, i)
		}
	}
	compare := func(a, b item) int {
		return cmp.Or(cmp.Compare(f.rank(sc, &a), f.rank(sc, &b)), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Index, b.Index))
	}
	// The items are mostly sorted already, and there may be many.
	if !slices.IsSortedFunc(items, compare) {
		slices.SortStableFunc(items, compare)
	}
	if f.order == "newest" {
		slices.Reverse(items)
	}
	sc.found = items
	return items
}

// all yields the records of a function's list by now, in no defined order. They
// include records that a walk still holds back, and no vanished ones.
func (f *faulter) all(sc *scene, function int, now time.Time) iter.Seq[item] {
	return func(yield func(item) bool) {
		m := moment{wall: now, data: f.data.AsOf(now.Unix())}
		rejected := 0
		for h := range f.data.Hits(function, m.data) {
			i, listed := f.item(function, h, m)
			if i.unusable != 0 {
				// The kinds alternate over all records that will ever be
				// listed, so that each record keeps its kind.
				i.unusable = unusableAbsent + unusable(rejected%unusableKinds)
				rejected++
			}
			if !listed || sc.vanished[i.Position] || f.unlogged(&i, function) {
				continue
			}
			if moved, ok := sc.moves[i.Position]; ok {
				i.shift(moved.seconds)
				i.created += moved.seconds
			}
			if !yield(i) {
				return
			}
		}
	}
}

// at is the time of a record that is compared with the query's range. A record
// that does not have that time yet is compared by when it was queued.
func (f *faulter) at(i *item) int64 {
	switch {
	case f.filter == "creation":
		return i.created
	case !i.started:
		return i.queued
	case f.filter == "end" && i.settled:
		return i.end
	}
	return i.start
}

// rank is a record's place in the list, the oldest first. A record that has not
// started has the place of its start, as without faults.
func (f *faulter) rank(sc *scene, i *item) int64 {
	moved, ok := sc.moves[i.Position]
	switch {
	case f.order == "none" && ok:
		return moved.rank
	case f.order == "none":
		return int64(i.draw.of(drawOrder))
	case f.filter == "start":
		return i.start
	}
	return f.at(i)
}

func (f *faulter) match(q query, i *item) bool {
	if q.ID != "" && (i.unusable != 0 || f.data.RequestID(i.Position) != q.ID) {
		return false
	}
	if !f.ofVersion(q, i) {
		return false
	}
	if q.Status != "" && q.Status != i.sentStatus {
		return false
	}
	at := f.at(i)
	return f.covers(q, at) && at >= f.oldest(q)
}

// covers reports whether the query's range holds a second.
func (f *faulter) covers(q query, at int64) bool {
	afterBegin := at > q.Begin || at == q.Begin && (f.borders == "both" || f.borders == "right-open")
	beforeEnd := at < q.End || at == q.End && (f.borders == "both" || f.borders == "left-open")
	return afterBegin && beforeEnd
}
