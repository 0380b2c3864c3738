package functiongraph

import (
	"context"
	"errors"
	"slices"
	"sync"

	"archiver/internal/extract"
)

// A prefetcher reads the pages of one query, and starts the calls of the next
// pages early. Pages are at offsets, so the next offsets can be predicted: the
// next page begins where the current page ends, as long as the count says that
// there are more records.
//
// The pager has the last word. When the pager continues at another offset, or
// ends the list, the prefetcher cancels the calls beyond. The prefetcher asks for
// no offset beyond the count, so a list that does not change takes as many calls
// as without prefetching. A page that is large is asked for again in its turn: one that
// is held and not yet the next page could keep the next page from being read.
type prefetcher struct {
	// fetch reads the page at an offset, and calls started when the call is under way. early
	// is set if it is not the next page.
	fetch func(ctx context.Context, offset int, early bool, started func()) (invocationList, error)
	// allowed reports whether one more call may start early; nil means never.
	// slotFreed receives a value when it is worth asking again.
	allowed   func() bool
	slotFreed <-chan struct{}

	queue    []*pageCall // in page order; the first is the next page
	step     int         // distance of the next offsets; 0 if unknown
	end      int         // the count: no page begins at or after it
	disabled bool        // a prediction was wrong, or pages are large; prefetch no more
}

// A pageCall is a call for one page.
type pageCall struct {
	offset  int
	cancel  context.CancelFunc
	started chan struct{} // closed once the call is under way, or will never be
	done    chan struct{} // closed once list and err are set
	list    invocationList
	err     error
}

// next returns the page at offset, and starts the next calls while that page is
// under way.
func (f *prefetcher) next(ctx context.Context, offset int) (invocationList, error) {
	if len(f.queue) == 0 {
		f.start(ctx, offset)
	}
	first := f.queue[0]
	for {
		f.startAllowed(ctx)
		select {
		case <-f.slotFreed:
			continue
		case <-first.done:
		}
		if errors.Is(first.err, extract.ErrEarly) {
			f.cancelAll()
			f.step, f.disabled = 0, true
			f.start(ctx, offset)
			first = f.queue[0]
			continue
		}
		first.cancel()
		f.queue = slices.Delete(f.queue, 0, 1)
		return first.list, first.err
	}
}

func (f *prefetcher) startAllowed(ctx context.Context) {
	for f.step > 0 && f.allowed != nil {
		next := f.queue[len(f.queue)-1].offset + f.step
		if next >= f.end || !f.allowed() {
			return
		}
		f.start(ctx, next)
	}
}

// start starts a call for a page. The call waits until the call before it is
// under way: pages arrive in order, and each query has at most one call
// waiting for a slot of the Caller.
func (f *prefetcher) start(ctx context.Context, offset int) {
	ctx, cancel := context.WithCancel(ctx)
	p := &pageCall{offset: offset, cancel: cancel, started: make(chan struct{}), done: make(chan struct{})}
	var previous chan struct{}
	early := len(f.queue) > 0
	if n := len(f.queue); early {
		previous = f.queue[n-1].started
	}
	f.queue = append(f.queue, p)
	go func() {
		defer close(p.done)
		started := sync.OnceFunc(func() { close(p.started) })
		defer started()
		if previous != nil {
			select {
			case <-previous:
			case <-ctx.Done():
				p.err = context.Cause(ctx)
				return
			}
		}
		p.list, p.err = f.fetch(ctx, offset, early, started)
	}()
}

// advanced tells the prefetcher how the pager went on after a page of elements
// at offset start.
func (f *prefetcher) advanced(start, elements, count int, p *pager) {
	contiguous := !p.last && p.offset == start+elements
	if len(f.queue) > 0 && (!contiguous || f.queue[0].offset != p.offset) {
		f.cancelAll()
		f.disabled = true
	}
	f.step = 0
	if contiguous && !f.disabled {
		f.step, f.end = elements, count
	}
}

func (f *prefetcher) cancelAll() {
	for _, p := range f.queue {
		p.cancel()
	}
	for _, p := range f.queue {
		<-p.done
		p.list.share.Release()
	}
	f.queue = nil
}
