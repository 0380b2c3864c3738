package load

import (
	"context"
	"sync"
	"sync/atomic"
)

// A gather groups items of several goroutines, so that the items of a group share one
// transaction: its flush, its statements and their round trips. While fewer than most
// groups are under way, an item starts at once. Otherwise items wait until a group
// ends; those that wait then form the next group.
type gather[T any] struct {
	most int                                  // groups under way at once
	full func(together []T, next T) bool      // whether next does not fit into the group
	make func(ctx context.Context, items []T) // handles a group; results and errors go into the items

	mu       sync.Mutex
	waiting  []*waiting[T]
	underWay int
}

// A waiting item has a caller of do that waits until done is closed.
type waiting[T any] struct {
	item T
	ctx  context.Context
	done chan struct{}
}

// do handles an item, and returns when the group of the item has ended. If ctx ends
// earlier, the group still goes on until the contexts of all its items have ended.
func (g *gather[T]) do(ctx context.Context, item T) {
	mine := &waiting[T]{item: item, ctx: ctx, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, mine)
	if g.underWay < g.most {
		g.underWay++
		go g.work()
	}
	g.mu.Unlock()
	<-mine.done
}

// work handles groups until no item waits.
func (g *gather[T]) work() {
	for {
		group := g.take()
		if len(group) == 0 {
			return
		}
		g.handle(group)
		for _, w := range group {
			close(w.done)
		}
	}
}

// take is the next group, in the order in which its items came. If no item waits, one
// group less is under way.
func (g *gather[T]) take() []*waiting[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var together []T
	for _, w := range g.waiting {
		if len(together) > 0 && g.full(together, w.item) {
			break
		}
		together = append(together, w.item)
	}
	group := g.waiting[:len(together):len(together)]
	g.waiting = g.waiting[len(together):]
	if len(group) == 0 {
		g.underWay--
	}
	return group
}

// handle handles a group under a context that ends when the contexts of all its items
// have ended.
func (g *gather[T]) handle(group []*waiting[T]) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(group[0].ctx))
	defer cancel(nil)
	var left atomic.Int32
	left.Store(int32(len(group)))
	items, stops := make([]T, len(group)), make([]func() bool, len(group))
	for i, w := range group {
		items[i] = w.item
		ended := func() {
			if left.Add(-1) == 0 {
				cancel(context.Cause(w.ctx))
			}
		}
		if w.ctx.Err() != nil {
			ended()
			stops[i] = func() bool { return true }
			continue
		}
		stops[i] = context.AfterFunc(w.ctx, ended)
	}
	g.make(ctx, items)
	for _, stop := range stops {
		stop()
	}
}
