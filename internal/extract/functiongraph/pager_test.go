package functiongraph

import (
	"fmt"
	"strings"
	"testing"
)

// A list is a source's list of numbers.
type list struct {
	total   int
	pageMax int                            // elements per page, even if more are requested
	count   func(total, n int) int         // of the answer
	next    func(offset, n, total int) int // of the answer
	page    func(offset, limit int) []int  // if set, replaces the usual page
}

var counts = map[string]func(total, n int) int{
	"right":  func(total, _ int) int { return total },
	"absent": func(int, int) int { return -1 },
	"own":    func(_, n int) int { return n },
	"zero":   func(int, int) int { return 0 },
	"one":    func(total, _ int) int { return min(total, 1) },
}

var nexts = map[string]func(offset, n, total int) int{
	"absent":        func(int, int, int) int { return -1 },
	"zero":          func(int, int, int) int { return 0 },
	"end":           func(offset, n, _ int) int { return offset + n },
	"absent at end": func(offset, n, total int) int { return unless(offset+n >= total, offset+n, -1) },
	"zero at end":   func(offset, n, total int) int { return unless(offset+n >= total, offset+n, 0) },
	"same at end":   func(offset, n, total int) int { return unless(offset+n >= total, offset+n, offset) },
	"total":         func(_, _, total int) int { return total },
	"beyond":        func(offset, n, _ int) int { return offset + n + 10 },
	"within":        func(offset, n, _ int) int { return offset + (n+1)/2 },
}

func unless(end bool, next, otherwise int) int {
	if end {
		return otherwise
	}
	return next
}

// read reads the whole list, and returns the elements and the number of calls.
func (l *list) read(t *testing.T, limit int) (seen map[int]bool, calls int, err error) {
	t.Helper()
	seen = make(map[int]bool)
	for p := newPager(0, limit); !p.last; calls++ {
		if calls > 10*(l.total+2) {
			t.Fatalf("no end after %d calls", calls)
		}
		var elements []int
		if l.page != nil {
			elements = l.page(p.offset, limit)
		} else {
			for i := p.offset; i < min(l.total, p.offset+min(limit, l.pageMax)); i++ {
				elements = append(elements, i)
			}
		}
		for _, e := range elements {
			seen[e] = true
		}
		n := len(elements)
		err = p.advance(pageSummary{n, l.count(l.total, n), l.next(p.offset, n, l.total), digest(elements)})
		if err != nil {
			return seen, calls, err
		}
	}
	return seen, calls, nil
}

func digest(elements []int) (d uint64) {
	for _, e := range elements {
		d = d*1_000_003 + uint64(e) + 1
	}
	return d
}

// If the source returns as many elements as requested, the pager misses none
// and makes few useless calls, for each combination of count and next_marker.
func TestPagerReadsAll(t *testing.T) {
	t.Parallel()
	const limit = 5
	for countName, count := range counts {
		for nextName, next := range nexts {
			for total := range 4 * limit {
				l := list{total: total, pageMax: limit, count: count, next: next}
				seen, calls, err := l.read(t, limit)
				if err != nil || len(seen) != total {
					t.Errorf("count %s, next %s: %d of %d, %v", countName, nextName, len(seen), total, err)
				}
				fewest := max(1, (total+limit-1)/limit)
				if most := fewest + 1; nextName != "within" && calls > most {
					t.Errorf("count %s, next %s: %d calls for %d elements", countName, nextName, calls, total)
				}
				if countName == "right" && nextName != "within" && total != limit && calls != fewest {
					t.Errorf("next %s: %d calls for %d elements in spite of a count", nextName, calls, total)
				}
			}
		}
	}
}

// If the source returns fewer elements than requested, the pager still reads
// all of them, as long as count or next_marker shows that there are more.
func TestPagerShortPages(t *testing.T) {
	t.Parallel()
	for countName, count := range counts {
		for nextName, next := range nexts {
			told := countName == "right" || (countName == "absent" || countName == "zero") &&
				nextName != "absent" && nextName != "zero" && nextName != "within"
			l := list{total: 23, pageMax: 3, count: count, next: next}
			seen, _, err := l.read(t, 10)
			if err != nil || told && len(seen) != 23 {
				t.Errorf("count %s, next %s: %d of 23, %v", countName, nextName, len(seen), err)
			}
		}
	}
}

// The pager stops at a list without an end.
func TestPagerEnds(t *testing.T) {
	t.Parallel()
	const limit = 5
	same := func(int, int) []int { return []int{1, 2, 3, 4, 5} }
	turns := func(offset, _ int) []int { return []int{offset / limit % 3, 8, 8, 8, 8} }
	fresh := func(offset, _ int) []int { return []int{offset, 8, 8, 8, 8} }
	cases := map[string]struct {
		page  func(offset, limit int) []int
		count int
		fails string
	}{
		"the same page, no count":       {same, -1, "returns the same page again"},
		"the same page, its own count":  {same, 5, "returns the same page again"},
		"the same page, more counted":   {same, 1200, ""},
		"the same pages by turns":       {turns, -1, "returns the same page again"},
		"the same pages, more counted":  {turns, 1200, ""},
		"new pages, a count they break": {fresh, 7, "more than 50000000"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := list{
				total: 2 * maxOffset, page: c.page,
				count: func(int, int) int { return c.count },
				next:  func(int, int, int) int { return -1 },
			}
			if strings.Contains(c.fails, "more than") {
				// Ten million pages would take long: begin near the end.
				l.page = nil
				p := newPager(maxOffset-2*limit, limit)
				var err error
				for i := 0; err == nil && i < 10; i++ {
					err = p.advance(pageSummary{limit, c.count, -1, uint64(i)})
				}
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("got %v", err)
				}
				return
			}
			_, calls, err := l.read(t, limit)
			if calls > 5 || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%d calls, %v", calls, err)
			}
		})
	}
}

// A next_marker that counts pages, not elements, also reads everything.
func TestPagerPageNumbers(t *testing.T) {
	t.Parallel()
	const limit, total = 5, 23
	for name, count := range counts {
		l := list{
			total: total, count: count,
			next: func(offset, _, _ int) int { return unless((offset+1)*limit >= total, offset+1, -1) },
			page: func(offset, _ int) (elements []int) {
				for i := offset * limit; i < min(total, (offset+1)*limit); i++ {
					elements = append(elements, i)
				}
				return elements
			},
		}
		if seen, _, err := l.read(t, limit); err != nil || len(seen) != total {
			t.Errorf("count %s: %s", name, fmt.Sprint(len(seen), " ", err))
		}
	}
}
