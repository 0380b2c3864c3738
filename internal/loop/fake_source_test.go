package loop

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"archiver/internal/archive"
)

// How a fakeSource counts.
const (
	countRight = iota
	countAbsent
	countOwnLength
)

// An element is one record of a fakeSource, or something no row can hold.
type element struct {
	archive.Invocation
	payload string    // of an element that no row can hold
	at      time.Time // what the source filters on
}

func (e *element) key() string { return e.RequestID + e.payload }

// An ask is one call for a page.
type ask struct {
	URN    string
	Span   archive.Span // with the padding
	Cursor archive.Cursor
	nth    int // call for a page of this function, from 1
	limit  int // of the page, 0 for the largest
}

// A fakeSource holds records in memory, in the order in which it lists them.
type fakeSource struct {
	listed   [][]archive.Function // pages of the list
	listErr  error                // after these pages
	limit    int
	fullPage int  // of a full page, as the source says; counts below it need no proof
	token    bool // pages by token rather than by offset
	openFrom bool // the border itself is not in the answer
	openTo   bool
	emptyEnd bool // a full page says that more follows, even where none does
	count    int
	deaf     bool // takes no notice of contexts
	ahead    bool // asks for pages before their turn, where it is let; not by token

	// together lets pages come while those before them wait to be kept; else
	// each is kept before the next one comes, and so by itself.
	together bool

	errs   map[string]error
	ping   error           // of the cheapest call
	hidden map[string]bool // request ids that are counted and never given

	before func(ctx context.Context, a ask) error // an answer; may wait
	after  func(a ask)                            // an answer; may move records

	mu       sync.Mutex
	records  map[string][]element
	asks     []ask
	calls    int64
	answered int64
	nth      map[string]int

	// Pages asked for and not yet committed, and their maximum.
	open, mostOpen int
	kept           map[string]chan struct{} // closed once a function's last page to come was kept
}

func newFakeSource(limit int, functions ...archive.Function) *fakeSource {
	return &fakeSource{
		listed: [][]archive.Function{functions}, limit: limit, fullPage: 1_000_000,
		errs: make(map[string]error), hidden: make(map[string]bool), records: make(map[string][]element),
		nth: make(map[string]int), kept: make(map[string]chan struct{}),
	}
}

func (s *fakeSource) ID() archive.SourceID {
	return archive.SourceID{Provider: "fake", Region: "here", ProjectID: "p"}
}

func (s *fakeSource) Stats() archive.SourceStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return archive.SourceStats{Calls: s.calls, Answered: s.answered}
}

func (s *fakeSource) Traits() archive.Traits {
	return archive.Traits{Page: s.fullPage, MaxLife: archive.MaxLife}
}

func (s *fakeSource) Ping(context.Context) error { return s.ping }

func (s *fakeSource) Functions(context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		for _, page := range s.listed {
			if !yield(page, nil) {
				return
			}
		}
		if s.listErr != nil {
			yield(nil, s.listErr)
		}
	}
}

// A called page is one asked for.
type called struct {
	cursor archive.Cursor
	page   archive.Page
	err    error
	done   chan struct{}
}

func (s *fakeSource) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var calls sync.WaitGroup
		defer calls.Wait()
		defer cancel()
		var asked []*called
		call := func(cursor archive.Cursor) {
			c := &called{cursor: cursor, done: make(chan struct{})}
			asked = append(asked, c)
			calls.Go(func() {
				defer close(c.done)
				c.page, c.err = s.answer(ctx, q, cursor)
			})
		}
		for cursor, count := q.Cursor, -1; ; {
			if len(asked) == 0 {
				call(cursor)
			}
			c := asked[0]
			for come := false; !come; {
				for s.ahead && q.Ahead != nil {
					next := s.position(nil, asked[len(asked)-1].cursor) + s.limit
					if next >= count || !q.Ahead() {
						break
					}
					call(archive.Cursor(strconv.Itoa(next)))
				}
				select {
				case <-q.Freed:
				case <-c.done:
					come = true
				}
			}
			asked = asked[1:]
			if c.err != nil {
				yield(archive.Page{}, c.err)
				return
			}
			c.page.Ahead = len(asked)
			if !yield(c.page, nil) || c.page.Last {
				return
			}
			cursor, count = c.page.Next, c.page.Count
		}
	}
}

func (s *fakeSource) answer(ctx context.Context, q archive.Query, cursor archive.Cursor) (archive.Page, error) {
	if ctx.Err() != nil && !s.deaf {
		return archive.Page{}, fmt.Errorf("call: %w", ctx.Err())
	}
	urn := q.Function.URN
	walked := q.Ahead != nil // else the page is not one to be kept
	s.mu.Lock()
	s.calls++
	s.nth[urn]++
	a := ask{URN: urn, Span: archive.Span{From: q.From, To: q.To}, Cursor: cursor, nth: s.nth[urn], limit: q.Limit}
	s.asks = append(s.asks, a)
	if walked {
		s.open++
		s.mostOpen = max(s.mostOpen, s.open)
	}
	err := s.errs[urn]
	before := s.kept[urn]
	s.mu.Unlock()

	if err == nil && s.before != nil {
		err = s.before(ctx, a)
	}
	if err == nil && walked && !s.together && before != nil {
		select {
		case <-before:
		case <-ctx.Done():
			if !s.deaf {
				err = ctx.Err()
			}
		}
	}
	if err != nil {
		s.committed(urn, 1)
		return archive.Page{}, err
	}
	s.mu.Lock()
	s.answered++
	page := s.page(a)
	if walked && !s.together {
		s.kept[urn] = make(chan struct{})
	}
	s.mu.Unlock()
	if s.after != nil {
		s.after(a)
	}
	return page, nil
}

// claimed notes that a worker begins with a function: what was not kept by
// now will not be.
func (s *fakeSource) claimed(urn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, urn)
}

// committed notes that the pages of so many records need not be asked for
// again.
func (s *fakeSource) committed(urn string, records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open -= max(1, (records+s.limit-1)/s.limit)
	if kept := s.kept[urn]; kept != nil {
		close(kept)
		delete(s.kept, urn)
	}
}

func (s *fakeSource) page(a ask) archive.Page {
	var found []element
	for _, e := range s.records[a.URN] {
		early := e.at.Before(a.Span.From) || s.openFrom && e.at.Equal(a.Span.From)
		late := e.at.After(a.Span.To) || s.openTo && e.at.Equal(a.Span.To)
		if !early && !late {
			found = append(found, e)
		}
	}
	from := min(s.position(found, a.Cursor), len(found))
	limit := s.limit
	if a.limit > 0 {
		limit = min(limit, a.limit)
	}
	to := min(from+limit, len(found))
	p := archive.Page{Count: -1, Last: to == len(found)}
	for _, e := range found[from:to] {
		if s.hidden[e.RequestID] {
			continue
		}
		if e.payload != "" {
			p.Rejected = append(p.Rejected, archive.Rejected{Reason: "no request id", Start: e.Start, Payload: []byte(e.payload)})
		} else {
			p.Invocations = append(p.Invocations, e.Invocation)
		}
	}
	if s.emptyEnd && p.Len() == limit {
		p.Last = false
	}
	switch s.count {
	case countRight:
		p.Count = len(found)
	case countOwnLength:
		p.Count = p.Len()
	}
	p.Next = archive.Cursor(strconv.Itoa(to))
	if s.token && to > 0 {
		p.Next += archive.Cursor(" after " + found[to-1].key())
	}
	return p
}

// position is where the page after a cursor begins. A token names the record
// before it; where that is gone, its offset has to do.
func (s *fakeSource) position(found []element, c archive.Cursor) int {
	if c == "" {
		return 0
	}
	number, key, _ := strings.Cut(string(c), " after ")
	if key != "" {
		for i := range found {
			if found[i].key() == key {
				return i + 1
			}
		}
	}
	offset, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	return offset
}

// asked are the calls for pages so far.
func (s *fakeSource) asked() []ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asks)
}

// The moves that records of a list make.

func (s *fakeSource) arrive(urn string, at int, e ...element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[urn] = slices.Insert(slices.Clone(s.records[urn]), at, e...)
}

func (s *fakeSource) vanish(urn string, at int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[urn] = slices.Delete(slices.Clone(s.records[urn]), at, at+1)
}

func (s *fakeSource) move(urn string, from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.records[urn])
	e := list[from]
	s.records[urn] = slices.Insert(slices.Delete(list, from, from+1), to, e)
}

// many are n settled records of an hour, evenly spread, newest first.
func many(prefix string, hour time.Time, n int) []element {
	list := make([]element, n)
	for i := range list {
		start := hour.Add(time.Duration(n-1-i) * archive.Hour / time.Duration(n)).Truncate(time.Millisecond)
		list[i] = settled(fmt.Sprintf("%s-%04d", prefix, n-1-i), start)
	}
	return list
}

func settled(id string, start time.Time) element {
	return element{
		Invocation: archive.Invocation{RequestID: id, Status: archive.StatusSuccess, Start: start, End: start.Add(time.Second)},
		at:         start,
	}
}

func unusable(payload string, start time.Time) element {
	return element{Invocation: archive.Invocation{Start: start}, payload: payload, at: start}
}
