package functiongraph

import (
	"fmt"
	"hash/maphash"
	"iter"
	"strconv"
)

// A pager decides at which offset a list continues, and where it ends. The API's
// pages do not document whether next_marker and count are always present, nor
// their values on the last page. So the pager combines all signs:
//
//   - An empty page is the end.
//   - A count is the total if it can be: it is at least the number of elements so
//     far, and on a full page it is not just the length of that page. With a
//     total, the list ends when the total is reached, not before: a source may
//     return fewer elements than requested.
//   - Without a total, the list continues after a full page. After a short page
//     it continues only if the next_marker is beyond the page's offset.
//
// So a next_marker on the last page costs one more call (for an empty page) only
// if there is no total.
//
// The list always ends: at a repeated page, or beyond maxOffset.
type pager struct {
	offset int
	limit  int
	last   bool
	pages  map[uint64]struct{} // digests of the pages so far
}

// maxOffset is far more than the invocations of one function in one query.
const maxOffset = 50_000_000

func newPager(offset, limit int) *pager {
	return &pager{offset: offset, limit: limit, pages: make(map[uint64]struct{})}
}

func (p *pager) marker() string { return strconv.Itoa(p.offset) }

// A pageSummary is what the pager needs of a page. Each type of list embeds one.
type pageSummary struct {
	elements    int
	count, next int    // the source's count and next_marker; -1 for none
	digest      uint64 // of the elements' keys
}

func (p pageSummary) summary() pageSummary { return p }

var digestSeed = maphash.MakeSeed()

// advance moves the offset beyond a page. An error means that the list cannot be
// read to its end, and that the number of missing elements is unknown.
func (p *pager) advance(page pageSummary) error {
	end := p.offset + page.elements
	if page.elements == 0 {
		p.last = true
		return nil
	}
	if p.repeated(page) {
		if page.count <= page.elements {
			return &endlessError{p.offset}
		}
		p.last = true // the count shows how much is missing
		return nil
	}
	p.pages[page.digest] = struct{}{}

	full := page.elements >= p.limit
	switch {
	case page.count >= end && (!full || page.count != page.elements):
		p.last = page.count == end
	case full:
		p.last = false
	default:
		p.last = page.next <= p.offset
	}
	// A next_marker within the page means that the source counts differently.
	// Continuing there repeats records, continuing at the page's end could lose
	// some. A next_marker beyond the page's end is ignored: it could lose some too.
	if page.next > p.offset && page.next < end {
		end = page.next
	}
	p.offset = end
	if p.offset > maxOffset && !p.last {
		return fmt.Errorf("the source's list has more than %d elements", maxOffset)
	}
	return nil
}

// repeated reports whether the list has had the page before.
func (p *pager) repeated(page pageSummary) bool {
	_, repeated := p.pages[page.digest]
	return repeated
}

// An endlessError means that the end of a list cannot be found.
type endlessError struct{ offset int }

func (e *endlessError) Error() string {
	return fmt.Sprintf("the source returns the same page again for marker %d, so the end of its list cannot be found", e.offset)
}

// readPages reads a list page by page. fetch reads the page at a marker. A page of
// limit elements is full.
func readPages[L interface {
	summary() pageSummary
}](limit int, fetch func(marker *string) (L, error)) iter.Seq2[L, error] {
	return func(yield func(L, error) bool) {
		for p := newPager(0, limit); !p.last; {
			marker := p.marker()
			list, err := fetch(&marker)
			if err == nil {
				err = p.advance(list.summary())
			}
			if !yield(list, err) || err != nil {
				return
			}
		}
	}
}
