package load

import (
	"context"
	"sync"
	"sync/atomic"
)

// A gather brings together what is asked for at the same time, so that it
// shares a transaction: its flush, its statements and their round trips. What
// comes alone does not wait for others; what comes while most are under way
// waits for one of them to end, and then goes together.
type gather[T any] struct {
	most int                                  // under way at once
	full func(together []T, next T) bool      // whether next is to wait for the next turn
	make func(ctx context.Context, items []T) // leaves in each item what came of it

	mu       sync.Mutex
	waiting  []*waiting[T]
	underWay int
}

// A waiting item belongs to somebody who waits for it.
type waiting[T any] struct {
	item T
	ctx  context.Context
	done chan struct{}
}

// do has an item made, and answers when it is. One whose ctx has ended goes on
// for as long as others that share its turn.
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

// work makes what waits, until nothing does.
func (g *gather[T]) work() {
	for {
		turn := g.take()
		if len(turn) == 0 {
			return
		}
		g.turn(turn)
		for _, w := range turn {
			close(w.done)
		}
	}
}

// take is what the next turn makes, first come, first served; where nothing
// waits, the caller is not counted as under way any more.
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
	turn := g.waiting[:len(together):len(together)]
	g.waiting = g.waiting[len(together):]
	if len(turn) == 0 {
		g.underWay--
	}
	return turn
}

// turn makes items under a context that ends when all of theirs have.
func (g *gather[T]) turn(turn []*waiting[T]) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(turn[0].ctx))
	defer cancel(nil)
	var left atomic.Int32
	left.Store(int32(len(turn)))
	items, stops := make([]T, len(turn)), make([]func() bool, len(turn))
	for i, w := range turn {
		items[i] = w.item
		stops[i] = context.AfterFunc(w.ctx, func() {
			if left.Add(-1) == 0 {
				cancel(context.Cause(w.ctx))
			}
		})
	}
	g.make(ctx, items)
	for _, stop := range stops {
		stop()
	}
}
