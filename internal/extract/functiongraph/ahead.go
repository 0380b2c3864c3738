package functiongraph

import (
	"context"
	"slices"
	"sync"
)

// A reader makes the calls for the pages of one query, some of them before
// their turn: once a page came as long as the list went on, and its count says
// that more is there, the offsets of the pages that follow are known.
//
// That is a guess, and the pager has the last word: where it goes on elsewhere,
// or ends, whatever was asked for beyond is cancelled and thrown away. Nothing
// is asked for that the count does not speak of, so that a list that keeps
// still takes as many calls as one page after the other would.
type reader struct {
	// ask makes a call, and says when it is under way.
	ask func(ctx context.Context, offset int, began func()) (invocationList, error)
	// may says whether one more call may be made before its turn, nil for
	// never, and freed when to ask again.
	may   func() bool
	freed <-chan struct{}

	asked     []*asking // in order; the first is the page whose turn comes next
	step, end int       // how far apart pages begin, and before where, by the last one
	uneven    bool      // a guess was wrong, and no further one is made
}

// An asking is a call for a page.
type asking struct {
	offset int
	cancel context.CancelFunc
	began  chan struct{} // closed once the call is under way, or will not be
	done   chan struct{} // closed once list and err are there
	list   invocationList
	err    error
}

// page is the page at the offset, whose turn it is. While it is under way the
// next ones are asked for.
func (r *reader) page(ctx context.Context, offset int) (invocationList, error) {
	if len(r.asked) == 0 {
		r.call(ctx, offset)
	}
	first := r.asked[0]
	for {
		r.more(ctx)
		select {
		case <-r.freed:
			continue
		case <-first.done:
		}
		first.cancel()
		r.asked = slices.Delete(r.asked, 0, 1)
		return first.list, first.err
	}
}

// more asks for pages before their turn, as many as it may.
func (r *reader) more(ctx context.Context) {
	for r.step > 0 && r.may != nil {
		next := r.asked[len(r.asked)-1].offset + r.step
		if next >= r.end || !r.may() {
			return
		}
		r.call(ctx, next)
	}
}

// call asks for a page once the one asked for before it is under way: pages
// come in the order in which they are needed, and a long list has no more than
// one call waiting where others wait as well.
func (r *reader) call(ctx context.Context, offset int) {
	ctx, cancel := context.WithCancel(ctx)
	a := &asking{offset: offset, cancel: cancel, began: make(chan struct{}), done: make(chan struct{})}
	var before chan struct{}
	if n := len(r.asked); n > 0 {
		before = r.asked[n-1].began
	}
	r.asked = append(r.asked, a)
	go func() {
		defer close(a.done)
		began := sync.OnceFunc(func() { close(a.began) })
		defer began()
		if before != nil {
			select {
			case <-before:
			case <-ctx.Done():
				a.err = context.Cause(ctx)
				return
			}
		}
		a.list, a.err = r.ask(ctx, offset, began)
	}()
}

// went notes how the list went on from a page of so many elements at start, as
// the pager sees it.
func (r *reader) went(start, elements, count int, p *pager) {
	even := !p.last && p.offset == start+elements
	if len(r.asked) > 0 && (!even || r.asked[0].offset != p.offset) {
		r.drop()
		r.uneven = true
	}
	r.step = 0
	if even && !r.uneven {
		r.step, r.end = elements, count
	}
}

// drop ends all calls that were made before their turn.
func (r *reader) drop() {
	for _, a := range r.asked {
		a.cancel()
	}
	for _, a := range r.asked {
		<-a.done
	}
	r.asked = nil
}
