package loop

import (
	"hash/maphash"
	"time"

	"archiver/internal/archive"
)

// A verdict is what a finished walk amounts to.
type verdict int

const (
	whole     verdict = iota // the walk saw all that the source counts
	drifted                  // something moved between two pages: walk again
	uncounted                // there is no count to go by: whole once two walks agree
)

// A tally is what one walk saw. Ids are kept as 64-bit hashes: two of them
// collide in a million records with a chance of 1 in 10^7, and a collision
// only makes a walk look short, so that it is repeated.
type tally struct {
	seed    maphash.Seed
	span    archive.Span
	seen    map[uint64]struct{} // elements this process saw in this walk
	sum     uint64              // of the hashes seen, to tell whether two walks agree
	sent    int                 // elements, those that came again included
	windows map[time.Time]int   // distinct elements a window of the span

	// A walk that resumes knows how many distinct elements the earlier pages held,
	// and the ids that the archive has of the span: those of the earlier pages, and
	// possibly more. An id that the archive has may have been counted already.
	resumed      int
	known        map[uint64]struct{}
	alreadyKnown int // seen here and known: distinct from the resumed ones or not

	pages     int
	last      int  // the source's count as of the last page, -1 for none
	total     int  // the last one that was given, -1 for none
	ownLength int  // what a page counted that was its own length, -1 for none
	gap       bool // some pages gave no count of the query
	moved     bool // the count changed from one page to a later one
}

func newTally(seed maphash.Seed, span archive.Span) *tally {
	return &tally{
		seed: seed, span: span, last: -1, total: -1, ownLength: -1,
		seen: make(map[uint64]struct{}), windows: make(map[time.Time]int),
	}
}

// resume makes the tally go on where an earlier process's walk stopped. What
// came or went since then shows in the count, as between two pages.
func (t *tally) resume(open archive.Walk, archived map[uint64]struct{}) {
	t.resumed, t.known, t.total = open.Seen, archived, open.Count
}

// add notes a page.
func (t *tally) add(p *archive.Page) {
	for i := range p.Invocations {
		t.note(maphash.String(t.seed, p.Invocations[i].RequestID), p.Invocations[i].Start)
	}
	// They have no id that could tell them apart. One answer that holds the same
	// payload twice holds two of them; in two answers it may be the same one.
	same := make(map[uint64]uint64)
	for i := range p.Rejected {
		h := maphash.Bytes(t.seed, p.Rejected[i].Payload)
		t.note(h+same[h], p.Rejected[i].Start)
		same[h]++
	}
	t.last = p.Count
	if several := t.pages > 0 || t.resumed > 0 || !p.Last; several && p.Count == p.Len() {
		// It counts the page, not the query, unless later ones say the same.
		t.gap = t.gap || t.ownLength >= 0 && t.ownLength != p.Count
		t.ownLength, t.last = p.Count, -1
	}
	if t.last >= 0 {
		t.moved = t.moved || t.total >= 0 && t.last != t.total
		t.total = t.last
	}
	t.gap = t.gap || p.Count < 0
	t.sent += p.Len()
	t.pages++
}

func (t *tally) note(h uint64, start time.Time) {
	if _, ok := t.seen[h]; ok {
		return
	}
	t.seen[h] = struct{}{}
	t.sum += h
	t.windows[t.span.WindowOf(start)]++
	if _, ok := t.known[h]; ok {
		t.alreadyKnown++
	}
}

// distinct is the number of distinct elements that the walk has surely seen.
func (t *tally) distinct() int { return t.resumed + len(t.seen) - t.alreadyKnown }

// count is the source's count of the query as of the last page, -1 where there
// is none to go by.
func (t *tally) count() int { return t.last }

// verdict judges a walk that reached the last page.
//
// A count that changed on the way means that records came or went, and then a
// sum that happens to fit proves nothing: one that vanished from a page read
// and moved the rest up hides another that was never seen.
func (t *tally) verdict() verdict {
	switch count := t.count(); {
	case count < 0 && t.pages == 1 && t.resumed == 0:
		return whole // a list of one page has nothing to move between
	case count < 0:
		return uncounted
	case t.moved:
		return drifted
	case t.pages > 1 && (t.gap || t.ownLength >= 0 && t.ownLength != count):
		return uncounted // what came or went between the pages need not have shown
	case t.distinct() == count:
		return whole
	case t.known == nil && t.distinct() > count:
		return uncounted // it gives more than it counts
	case t.known == nil && t.sent == count:
		return uncounted // it may count what it gives twice as two
	default:
		return drifted
	}
}

// counts are the source's numbers of records a window, for a walk that is
// whole. A walk that resumed does not know them: nil.
func (t *tally) counts() map[time.Time]int {
	if t.resumed > 0 {
		return nil
	}
	return t.windows
}

// short is what is said of a walk that is not whole. Where the span is one
// window, counts has the source's number of its records: those counted less
// those seen that belong to the adjacent windows.
func (t *tally) short() (err *archive.ShortError, counts map[time.Time]int) {
	err = &archive.ShortError{Saw: t.distinct(), Count: t.count(), Moved: t.moved}
	if err.Count >= 0 && t.resumed == 0 {
		w := t.span.From
		counts = map[time.Time]int{w: err.Count - (len(t.seen) - t.windows[w])}
	}
	return err, counts
}

// agrees reports whether two walks from the first page on saw the same.
func (t *tally) agrees(o *tally) bool {
	return o != nil && t.resumed == 0 && o.resumed == 0 && len(t.seen) == len(o.seen) && t.sum == o.sum
}
