package functiongraph

import (
	"fmt"
	"hash/maphash"
	"strconv"
)

// A pager decides where a list goes on and where it ends. Both lists page by
// offset; whether next_marker and count are there, and what they hold on the
// last page, is not said, so that no one sign is believed against the others:
//
//   - an empty page is the end;
//   - a count is taken for the total where it can be that: it is not less than
//     what came so far, and a full page's is not just that page's own length.
//     Then the list ends where the total is reached, and not before: a source
//     may give fewer than it was asked for;
//   - without such a count, the list goes on after a full page, and after a
//     short one only where its next_marker says so.
//
// A next_marker on a last page therefore costs one more call, for an empty
// page, only where there is no count to contradict it.
//
// Whatever the source answers, the list ends: at a page that came before (the
// source gives the same for another marker), or beyond maxOffset.
type pager struct {
	offset int
	limit  int
	last   bool
	seed   maphash.Seed
	pages  map[uint64]struct{} // digests of the pages so far
}

// maxOffset is far beyond what one function runs asynchronously in the time
// that one list speaks of.
const maxOffset = 50_000_000

func newPager(offset, limit int) *pager {
	return &pager{offset: offset, limit: limit, seed: maphash.MakeSeed(), pages: make(map[uint64]struct{})}
}

func (p *pager) marker() string { return strconv.Itoa(p.offset) }

// An answered page is what a pager goes by.
type answered struct {
	elements    int
	count, next int    // the source's count and next_marker, -1 for none
	digest      uint64 // of what the page holds
}

// advance takes in a page. An error means that the list cannot be read to its
// end, and that nothing would tell how much of it is missing.
func (p *pager) advance(a answered) error {
	end := p.offset + a.elements
	if a.elements == 0 {
		p.last = true
		return nil
	}
	if _, again := p.pages[a.digest]; again {
		if a.count <= a.elements {
			return fmt.Errorf("the source gives the same page again for marker %d, so that its list has no end to be found", p.offset)
		}
		p.last = true // the count tells what is missing
		return nil
	}
	p.pages[a.digest] = struct{}{}

	full := a.elements >= p.limit
	switch {
	case a.count >= end && (!full || a.count != a.elements):
		p.last = a.count == end
	case full:
		p.last = false
	default:
		p.last = a.next <= p.offset
	}
	// A next_marker within the page means that the source counts otherwise
	// than we do: going back to it repeats records, going past it could lose
	// some. One beyond the page's end would lose some too.
	if a.next > p.offset && a.next < end {
		end = a.next
	}
	p.offset = end
	if p.offset > maxOffset && !p.last {
		return fmt.Errorf("the source's list goes on beyond %d elements", maxOffset)
	}
	return nil
}
