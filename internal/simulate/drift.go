package simulate

import (
	"time"

	"archiver/internal/simulate/dataset"
)

// drifting reports whether the list may change around the page of a query. It
// does not change for a lookup by id, for a query with limit 1, which asks for
// the count, or once the function has calmed down.
func (f *faulter) drifting(sc *scene, q query) bool {
	return f.drifts() && q.ID == "" && q.Limit > 1 && sc.pages < f.driftCalls
}

// list applies the changes since the previous page and returns all records that
// the query asks for. A walk begins at marker 0. Records that an earlier walk
// still holds back arrive then, so that no record stays away for good.
func (f *faulter) list(sc *scene, q query, now time.Time) []item {
	drifting := f.drifting(sc, q)
	if !drifting {
		if q.Marker == 0 || sc.pages >= f.driftCalls {
			sc.arrive(func(int) bool { return true })
		}
		return f.collect(sc, q, now)
	}
	d := f.root.of(drawDrift).of(dice(q.Function)).of(dice(sc.pages))
	if q.Marker == 0 {
		sc.arrive(func(int) bool { return true })
		sc.walkPage = 0
		sc.holdBack(f, q, f.collect(sc, q, now), d.of(drawArrivals))
	} else {
		sc.walkPage++
		sc.arrive(func(page int) bool { return page <= sc.walkPage })
		items := f.collect(sc, q, now)
		if q.Marker+q.Limit >= len(items) {
			sc.arrive(func(int) bool { return true }) // this may be the last page
		}
		if q.Marker < len(items) { // else the walk is over
			sc.drift(f, q, items, d)
		}
	}
	sc.pages++
	return f.collect(sc, q, now)
}

// show remembers which records were listed.
func (sc *scene) show(items []item) {
	if sc.shown == nil {
		sc.shown = map[dataset.Position]bool{}
	}
	for _, i := range items {
		sc.shown[i.Position] = true
	}
}

// holdBack picks the records that arrive during the walk that begins, and the
// page before which each arrives. It picks no record that was shown or has arrived
// before, and leaves enough for a walk of two pages.
func (sc *scene) holdBack(f *faulter, q query, items []item, d dice) {
	if sc.arriving == nil {
		sc.arriving, sc.arrived = map[dataset.Position]int{}, map[dataset.Position]bool{}
	}
	pages := min((len(items)-1)/max(q.Limit, 1), f.driftCalls-sc.pages-1)
	for page := 1; page <= pages; page++ {
		for n := range d.of(dice(page)).times(f.arrive) {
			at := pick(0, len(items), d.of(dice(page)).of(dice(n+1)), func(i int) bool {
				_, twice := sc.arriving[items[i].Position]
				return !twice && !sc.arrived[items[i].Position] && !sc.shown[items[i].Position] && items[i].unusable == 0
			})
			if at < 0 || len(items)-len(sc.arriving) <= q.Limit+1 {
				return
			}
			sc.arriving[items[at].Position] = page
		}
	}
}

func (sc *scene) arrive(due func(page int) bool) {
	for at, page := range sc.arriving {
		if due(page) {
			delete(sc.arriving, at)
			sc.arrived[at] = true
		}
	}
}

// drift makes records of the list vanish, rise and sink. It changes only settled
// records, which have all their times.
func (sc *scene) drift(f *faulter, q query, items []item, d dice) {
	if sc.moves == nil {
		sc.moves, sc.vanished = map[dataset.Position]move{}, map[dataset.Position]bool{}
	}
	free := func(i int) bool {
		_, moved := sc.moves[items[i].Position]
		return items[i].settled && items[i].unusable == 0 && !moved && !sc.vanished[items[i].Position]
	}
	marker := min(q.Marker, len(items))
	for n := range d.of(drawVanishing).times(f.vanish) {
		if at := pick(0, len(items), d.of(drawVanishing).of(dice(n+1)), free); at >= 0 {
			sc.vanished[items[at].Position] = true
		}
	}
	for n := range d.of(drawRising).times(f.rise) {
		d := d.of(drawRising).of(dice(n + 1))
		sc.move(f, items, pick(marker, len(items), d, free), pick(0, marker-1, d.of(1), free))
	}
	for n := range d.of(drawSinking).times(f.sink) {
		d := d.of(drawSinking).of(dice(n + 1))
		sc.move(f, items, pick(0, marker, d, free), pick(marker+1, len(items), d.of(1), free))
	}
}

// move shifts a record's times so that it takes the place of another record.
func (sc *scene) move(f *faulter, items []item, from, to int) {
	if from < 0 || to < 0 {
		return
	}
	rank := f.rank(sc, &items[to])
	sc.moves[items[from].Position] = move{seconds: f.at(&items[to]) - f.at(&items[from]), rank: rank}
}

// pick draws an index from first to before end for which do is true. It returns
// -1 if 16 draws find none.
func pick(first, end int, d dice, do func(int) bool) int {
	if end <= first {
		return -1
	}
	for try := range 16 {
		if i := first + int(d.of(dice(try)).upTo(int64(end-first))); do(i) {
			return i
		}
	}
	return -1
}
