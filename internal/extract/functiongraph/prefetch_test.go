package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// ServeHTTP serves pages of the list.
func (l *list) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	offset, _ := strconv.Atoi(r.URL.Query().Get("marker"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	var elements []string
	for i := offset; i < min(l.total, offset+min(limit, l.pageMax)); i++ {
		elements = append(elements, fmt.Sprintf(`{"request_id":"%d"}`, i))
	}
	body := fmt.Sprintf(`{"invocations":[%s]`, strings.Join(elements, ","))
	if n := l.count(l.total, len(elements)); n >= 0 {
		body += fmt.Sprintf(`,"count":%d`, n)
	}
	if n := l.next(offset, len(elements), l.total); n >= 0 {
		body += fmt.Sprintf(`,"next_marker":%d`, n)
	}
	fmt.Fprint(w, body+"}")
}

type callCounter struct {
	http.Handler
	calls atomic.Int64
}

func (c *callCounter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls.Add(1)
	c.Handler.ServeHTTP(w, r)
}

// allowEarly allows n early calls at a time.
func allowEarly(n int) (ahead func() bool, taken func(page archive.Page)) {
	asked := 0
	return func() bool {
			if asked == n {
				return false
			}
			asked++
			return true
		}, func(page archive.Page) {
			asked = page.Ahead
		}
}

// readPrefetching reads all pages of a query with at most this many early calls at a
// time.
func readPrefetching(ctx context.Context, s *Source, q archive.Query, most int) (pages []archive.Page, err error) {
	var taken func(archive.Page)
	q.Ahead, taken = allowEarly(most)
	for page, err := range s.Pages(ctx, q) {
		if err != nil {
			return pages, err
		}
		if page.Ahead > most {
			return pages, fmt.Errorf("%d early calls, allowed are %d", page.Ahead, most)
		}
		taken(page)
		page.Ahead = 0
		pages = append(pages, page)
	}
	return pages, nil
}

// For each combination of count and next_marker, prefetching gives the same
// pages as reading one page after the other. If the count is right, prefetching
// makes no additional call.
func TestPrefetchGivesTheSamePages(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for countName, count := range counts {
		for nextName, next := range nexts {
			for range 4 {
				l := &list{total: random.IntN(60), pageMax: 1 + random.IntN(12), count: count, next: next}
				limit, ahead := 1+random.IntN(12), random.IntN(9)
				name := fmt.Sprintf("count %s, next %s, %d elements by %d of %d, %d ahead", countName, nextName, l.total, l.pageMax, limit, ahead)
				api := &callCounter{Handler: l}
				s := open(t, api)
				q := hour
				q.Limit = limit
				want, wantErr := read(t.Context(), s, q)
				plain := api.calls.Swap(0)
				got, err := readPrefetching(t.Context(), s, q, ahead)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Errorf("%s: %v, want %v", name, err, wantErr)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: (-one after the other +prefetched):\n%s", name, diff)
				}
				if calls := api.calls.Load(); calls != plain {
					t.Errorf("%s: %d calls, %d one after the other", name, calls, plain)
				}
			}
		}
	}
}

// After a wrong prediction, the prefetcher continues at the pager's offset,
// without further prefetching.
func TestPrefetchGuessesWrong(t *testing.T) {
	t.Parallel()
	const total, step = 60, 5
	for name, shape := range map[string]func(offset int) (n, count, next int){
		"a page is short":               func(offset int) (n, count, next int) { return unless(offset != 15, 3, step), total, -1 },
		"a page is empty":               func(offset int) (n, count, next int) { return unless(offset != 15, 0, step), total, -1 },
		"a marker goes back":            func(offset int) (n, count, next int) { return step, total, unless(offset != 15, 18, offset+step) },
		"the count shrinks":             func(offset int) (n, count, next int) { return step, unless(offset < 15, 30, total), -1 },
		"the count is gone":             func(offset int) (n, count, next int) { return step, unless(offset < 15, -1, total), offset + step },
		"the count becomes the page's":  func(offset int) (n, count, next int) { return step, unless(offset < 15, step, total), offset + step },
		"the count grows":               func(offset int) (n, count, next int) { return step, unless(offset < 15, total, 40), -1 },
		"pages are shorter from one on": func(offset int) (n, count, next int) { return unless(offset < 15, 2, step), total, -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				offset, _ := strconv.Atoi(r.URL.Query().Get("marker"))
				n, count, next := shape(offset)
				var elements []string
				for i := offset; i < min(total, offset+n); i++ {
					elements = append(elements, fmt.Sprintf(`{"request_id":"%d"}`, i))
				}
				fmt.Fprintf(w, `{"invocations":[%s],"count":%d,"next_marker":%d}`, strings.Join(elements, ","), count, next)
			}))
			q := hour
			q.Limit = step
			want, wantErr := read(t.Context(), s, q)
			got, err := readPrefetching(t.Context(), s, q, 6)
			if diff := cmp.Diff(want, got); diff != "" || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%v, want %v; pages (-one after the other +prefetched):\n%s", err, wantErr, diff)
			}
		})
	}
}

// longList is a list of 100 elements; before may delay or fail a page.
func longList(before func(offset int, r *http.Request) (status int)) http.Handler {
	l := &list{total: 100, pageMax: maxInvocations, count: counts["right"], next: nexts["end"]}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("marker"))
		if status := before(offset, r); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		l.ServeHTTP(w, r)
	})
}

// One query uses all calls of the Caller.
func TestPrefetchKeepsCallsUnderWay(t *testing.T) {
	t.Parallel()
	const concurrency = 4 // of the caller (see openAt)
	full := make(chan struct{})
	var underWay atomic.Int64
	s := open(t, longList(func(offset int, _ *http.Request) int {
		if offset > 0 && underWay.Add(1) == concurrency {
			close(full)
		}
		if offset > 0 {
			select {
			case <-full:
			case <-time.After(10 * time.Second):
				t.Error("the other calls did not start")
			}
		}
		return http.StatusOK
	}))
	q := hour
	q.Limit = 5
	pages, err := readPrefetching(t.Context(), s, q, 2*concurrency)
	if err != nil || len(pages) != 20 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}

// Calls start in the order of their pages.
func TestPrefetchAsksInOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []int
	s := open(t, longList(func(offset int, _ *http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, offset)
		return http.StatusOK
	}), func(o *Options) { o.PageSize = 5 })
	// With one call at a time, answers come in the order of the calls.
	s.setTransport(newGauge(t), 1)
	pages, err := readPrefetching(t.Context(), s, hour, 7)
	if err != nil || len(pages) != 20 || !slices.IsSorted(asked) {
		t.Errorf("%d pages, %v, asked for in the order %v", len(pages), err, asked)
	}
}

// The error of an early call is reported after the pages before it.
func TestPrefetchFails(t *testing.T) {
	t.Parallel()
	failed := make(chan struct{})
	s := open(t, longList(func(offset int, _ *http.Request) int {
		switch offset {
		case 20:
			defer close(failed)
			return http.StatusBadRequest
		case 5, 10, 15:
			<-failed
		}
		return http.StatusOK
	}))
	q := hour
	q.Limit = 5
	pages, err := readPrefetching(t.Context(), s, q, 6)
	if err == nil || !strings.Contains(err.Error(), "400") || len(pages) != 4 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}

// When a query is stopped or cancelled, no call stays running.
func TestPrefetchIsCancelled(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"context", "consumer"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			var underWay atomic.Int64
			all := make(chan struct{})
			s := open(t, longList(func(offset int, r *http.Request) int {
				if offset > 5 {
					if underWay.Add(1) == 3 {
						close(all)
					}
					<-r.Context().Done()
				}
				return http.StatusOK
			}))
			calls := newGauge(t)
			s.setTransport(calls, 4)
			stop := errors.New("stop")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			q := hour
			q.Limit = 5
			var taken func(archive.Page)
			q.Ahead, taken = allowEarly(3)
			n := 0
			var ended error
			for page, err := range s.Pages(ctx, q) {
				if err != nil {
					ended = err
					break
				}
				taken(page)
				if n++; n == 2 {
					<-all
					if by == "consumer" {
						break
					}
					cancel(stop)
				}
			}
			if n != 2 || by == "context" && !errors.Is(ended, stop) {
				t.Errorf("%d pages, then %v", n, ended)
			}
			if left := calls.running.Load(); left != 0 {
				t.Errorf("%d calls are left under way", left)
			}
		})
	}
}
