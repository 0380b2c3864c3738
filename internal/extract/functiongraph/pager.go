package functiongraph

import "strconv"

// A pager decides where a list goes on and where it ends. Both lists page by
// offset; whether next_marker and count are there, and what they hold on the
// last page, is not said, so that no one sign is believed against the others:
//
//   - an empty page is the end;
//   - after a full page the list goes on, unless a count that is not just the
//     page's own length says that this was all;
//   - after a short page it ends, unless the count says that there is more: a
//     source may give fewer than it was asked for.
type pager struct {
	offset int
	limit  int
	last   bool
}

func newPager(offset, limit int) *pager { return &pager{offset: offset, limit: limit} }

func (p *pager) marker() string { return strconv.Itoa(p.offset) }

// advance takes in a page of n elements. count is the source's count and next
// its next_marker, -1 for none.
func (p *pager) advance(n, count, next int) {
	end := p.offset + n
	switch {
	case n == 0:
		p.last = true
	case n >= p.limit:
		p.last = count >= 0 && count != n && count <= end
	default:
		p.last = count < 0 || count == n || count <= end
	}
	// A next_marker within the page means that the source counts otherwise
	// than we do: going back to it repeats records, going past it could lose
	// some. One beyond the page's end would lose some too.
	if next > p.offset && next < end {
		end = next
	}
	p.offset = end
}
