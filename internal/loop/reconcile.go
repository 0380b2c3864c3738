package loop

import (
	"hash/maphash"
	"maps"
	"time"

	"archiver/internal/archive"
)

// A verdict says whether a finished walk saw all records of the source.
type verdict int

const (
	whole     verdict = iota // the walk saw all that the source counts
	drifted                  // records came or went between two pages: walk again
	uncounted                // the source gave no usable count: whole once two walks agree
)

// seen are the distinct elements that this process saw in a walk: by hashed id, the window
// in which each lies, in hours since 1970.
type seen map[uint64]int32

// A tally counts what one walk saw. It keeps ids as 64-bit hashes. In a million
// records two hashes collide with a chance of 1 in 10^7, and a collision only makes
// the walk look short, so that the span is walked again.
type tally struct {
	seed     maphash.Seed
	span     archive.Span
	seen     seen
	sum      uint64            // of the hashes seen, to compare two walks
	sent     int               // elements, duplicates included
	unusable int               // of these, those that no row can hold
	windows  map[time.Time]int // distinct elements by window

	// A walk that resumes knows how many distinct elements the earlier pages held,
	// and the ids that the archive has of the span: those of the earlier pages, and
	// possibly more. An id that the archive has may have been counted already.
	resumed      int
	known        map[uint64]struct{}
	earlier      map[time.Time]int // of the windows that the source may have forgotten: archived when the walk resumed
	alreadyKnown int               // of seen, those in known: the earlier pages may have held them

	began    time.Time
	newest   bool // the newest records come first
	finished bool // the walk has reached the last page
	again    bool // an earlier walk of the question ended since a cursor was refused

	holes      []hole    // records that were passed over
	firstStart time.Time // of the first record that has a start
	lastStart  time.Time // of the last one
	unsorted   bool      // the records are not in the order that was asked for
	failed     bool      // a page has failed: others are not retried as long

	pages     int
	offset    int  // elements of the pages of this query, those passed over included; -1 if the walk resumed
	proved    bool // the count was proven
	count     int  // the source's count of the query as of the latest page, -1 for none
	lastGiven int  // the latest count that a page gave, -1 for none
	ownLength int  // a page's count that equals the page's own length, -1 for none
	gap       bool // some pages gave no count of the query
	moved     bool // the count changed from one page to a later one
}

func newTally(seed maphash.Seed, span archive.Span) *tally {
	return &tally{
		seed: seed, span: span, count: -1, lastGiven: -1, ownLength: -1,
		seen: make(seen), windows: make(map[time.Time]int),
	}
}

// resume makes the tally go on where an earlier process stopped. If records came or
// went since then, the source's count has changed, as between two pages.
func (t *tally) resume(open archive.Walk, archived map[uint64]struct{}) {
	t.resumed, t.known, t.lastGiven, t.offset = open.Seen, archived, open.Count, -1
}

// add counts a page.
func (t *tally) add(p *archive.Page) {
	for i := range p.Invocations {
		t.note(maphash.String(t.seed, p.Invocations[i].RequestID), p.Invocations[i].Start)
	}
	// Rejected elements have no id. The same payload twice on one page is two
	// elements; on two pages it may be one element that moved.
	copies := make(map[uint64]uint64)
	for i := range p.Rejected {
		h := maphash.Bytes(t.seed, p.Rejected[i].Payload)
		t.note(h+copies[h], p.Rejected[i].Start)
		copies[h]++
	}
	t.neighbours(p)
	t.count = p.Count
	if several := t.pages > 0 || t.resumed > 0 || !p.Last; several && p.Count == p.Len() {
		// The source may count the page instead of the query: see verdict.
		t.gap = t.gap || t.ownLength >= 0 && t.ownLength != p.Count
		t.ownLength, t.count = p.Count, -1
	}
	if t.count >= 0 {
		t.moved = t.moved || t.lastGiven >= 0 && t.count != t.lastGiven
		t.lastGiven = t.count
	}
	t.gap = t.gap || p.Count < 0
	t.sent += p.Len()
	t.pages++
	if t.offset >= 0 {
		t.offset += p.Len()
	}
	t.unusable += len(p.Rejected)
}

// mostlyUnusable reports whether so many elements could not be read that the answer is
// rather one to another request.
func (t *tally) mostlyUnusable() bool { return t.unusable >= 10 && 2*t.unusable > t.sent }

// neighbours notes the starts of the records before and after a record that was passed
// over, and whether the records are in order.
func (t *tally) neighbours(p *archive.Page) {
	if len(p.Invocations) == 0 {
		return
	}
	for i := len(t.holes) - 1; i >= 0 && t.holes[i].after.IsZero(); i-- {
		t.holes[i].after = p.Invocations[0].Start
	}
	for i := range p.Invocations {
		switch start := p.Invocations[i].Start; {
		case start.IsZero():
			continue
		case t.firstStart.IsZero():
			t.firstStart = start
		case t.newest && start.After(t.lastStart), !t.newest && start.Before(t.lastStart):
			t.unsorted = true
		}
		t.lastStart = p.Invocations[i].Start
	}
}

// oppositeEnds reports whether both walks saw the list sorted, from opposite ends. If they
// saw the same records, there are no others: a record that both left out starts after the
// newest one and before the oldest one.
func (t *tally) oppositeEnds(o *tally) bool {
	return t.newest != o.newest && !t.unsorted && !o.unsorted && !t.firstStart.Equal(t.lastStart)
}

func (t *tally) note(h uint64, start time.Time) {
	if _, ok := t.seen[h]; ok {
		return
	}
	window := t.span.WindowOf(start)
	t.seen[h] = int32(window.Unix() / int64(archive.Hour/time.Second))
	t.sum += h
	t.windows[window]++
	if _, ok := t.known[h]; ok {
		t.alreadyKnown++
	}
}

// byWindow returns how many elements lie in each window.
func (s seen) byWindow() map[time.Time]int {
	windows := make(map[time.Time]int)
	for _, hour := range s {
		windows[time.Unix(int64(hour)*int64(archive.Hour/time.Second), 0).UTC()]++
	}
	return windows
}

// distinct returns a number of distinct elements that the walk has certainly seen. A
// walk that resumed may have seen more.
func (t *tally) distinct() int { return t.resumed + len(t.seen) - t.alreadyKnown }

// verdict judges a walk that reached the last page.
//
// If the count changed during the walk, records came or went. Then even a number that
// fits the count proves nothing: a record that vanished from an earlier page moves all
// others up, so that one of them is never seen.
func (t *tally) verdict() verdict {
	switch count := t.count; {
	case count < 0 && t.pages == 1 && t.resumed == 0:
		return whole // on a single page nothing can move
	case count < 0:
		return uncounted
	case t.moved:
		return drifted
	case t.pages > 1 && (t.gap || t.ownLength >= 0 && t.ownLength != count):
		return uncounted // not every page gave a count: records may have moved unnoticed
	case t.distinct()+len(t.holes) == count:
		return whole
	case t.known == nil && t.distinct() > count:
		return uncounted // the source gives more than it counts
	case t.known == nil && t.sent == count:
		return uncounted // the source may count a duplicate as two
	default:
		return drifted
	}
}

// counts returns the source's number of records in each window, for a walk that is
// whole. It returns nil for a walk that resumed, which has not seen all records.
func (t *tally) counts() map[time.Time]int {
	if t.resumed > 0 {
		return nil
	}
	return t.windows
}

// present returns how many records of each window are archived or were seen, for a walk
// that resumed. Some may count twice.
func (t *tally) present() map[time.Time]int {
	if t.resumed == 0 || t.earlier == nil {
		return nil
	}
	present := maps.Clone(t.windows)
	for hour, n := range t.earlier {
		present[hour] += n
	}
	return present
}

// agrees reports whether both walks began at the first page and saw the same elements.
func (t *tally) agrees(o *tally) bool {
	return o != nil && t.resumed == 0 && o.resumed == 0 && len(t.seen) == len(o.seen) && t.sum == o.sum
}
