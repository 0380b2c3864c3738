package simulate

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"archiver/internal/simulate/dataset"
)

// faulter applies Faults. Without faults its records are those of the Data.
type faulter struct {
	Faults
	data    *dataset.Data
	names   []string // of the functions
	root    dice
	started time.Time // of the server

	scenes       []scene // by function
	gone, broken []bool  // by function; gone only once goneAfter has passed
	off          []bool  // by function: those whose status log is switched off
	limited      []bool  // by function: those that have limits

	calls   atomic.Int64 // authenticated so far
	mu      sync.Mutex
	repeats map[dice]int // how often each call was made, by its content

	gatewayState gatewayState
}

func newFaulter(faults Faults, data *dataset.Data, started time.Time) *faulter {
	if !faults.active() {
		faults = noFaults()
	}
	seed := data.Seed()
	if faults.seeded {
		seed = faults.seed
	}
	names := data.Functions()
	f := &faulter{
		Faults: faults, data: data, names: names, root: dice(scramble(seed)), started: started,
		scenes: make([]scene, len(names)), repeats: map[dice]int{},
		gatewayState: gatewayState{accepted: map[period]int{}},
	}
	f.pickFunctions()
	return f
}

// pickFunctions draws which functions are gone, which are broken and whose
// status log is off. A function is at most one of these.
func (f *faulter) pickFunctions() {
	n := len(f.names)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(f.root.of(drawFunction).text(f.names[a]), f.root.of(drawFunction).text(f.names[b]))
	})
	// Limits are for the last functions, the others for the first.
	f.limited = make([]bool, n)
	for _, function := range order[n-min(int(math.Ceil(f.only*float64(n))), n):] {
		f.limited[function] = true
	}
	pick := func(share float64) []bool {
		picked := make([]bool, n)
		count := min(int(math.Ceil(share*float64(n))), len(order))
		for _, function := range order[:count] {
			picked[function] = true
		}
		order = order[count:]
		return picked
	}
	f.gone, f.broken, f.off = pick(f.Faults.gone), pick(f.Faults.broken), pick(f.logOff)
}

func (f *faulter) isGone(function int, now time.Time) bool {
	return f.gone[function] && now.Sub(f.started) >= f.goneAfter
}

// answer returns the body of the answer to a query and its number of records.
func (f *faulter) answer(q query, now time.Time) (body []byte, records int, err error) {
	if f.limitCap > 0 {
		q.Limit = min(q.Limit, f.limitCap)
	}
	if err := f.limit(q); err != nil {
		return nil, 0, err
	}
	sc := &f.scenes[q.Function]
	sc.mu.Lock()
	defer sc.mu.Unlock()
	items := f.list(sc, q, now)
	p := f.cutPage(sc, q, items)
	sc.answers++
	if f.drifting(sc, q) {
		sc.show(p.items)
	}
	body = f.render(q, p)
	return body, len(p.items), f.spoilt(q, p.items, body)
}

// faultyPage is a page of a list.
type faultyPage struct {
	items []item
	count int  // of the whole list
	next  int  // the offset of the next page
	last  bool // there is no next page
}

// cutPage takes the query's page out of the whole list. Each answer draws whether
// the page repeats a record, so that a second walk finds other pages.
func (f *faulter) cutPage(sc *scene, q query, items []item) faultyPage {
	items, count := f.clip(q.Function, items)
	from := min(q.Marker, len(items))
	if from > 0 && from < len(items) && q.Limit > 1 && f.question(q).of(drawRepeat).of(dice(sc.answers)).share() < f.repeat {
		from--
	}
	to := min(from+q.Limit, len(items))
	return faultyPage{items: items[from:to], count: count, next: to, last: to == len(items)}
}

// question draws for the content of a query. The draws of the latest version do
// not depend on whether the function has other versions.
func (f *faulter) question(q query) dice {
	d := f.root.of(drawAnswer).of(dice(q.Function))
	if q.version > 0 {
		d = d.of(drawVersion).of(dice(q.version))
	}
	return d.of(dice(q.Begin)).of(dice(q.End)).
		of(dice(q.Marker)).of(dice(q.Limit)).text(string(q.Status)).text(q.ID)
}
