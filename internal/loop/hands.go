package loop

import (
	"context"
	"sync"
	"sync/atomic"
)

// pagesPerCall is how many pages of a run may be in hand, asked for and not yet
// kept, for each call that may be under way: while one is kept, another one is
// asked for. That many functions are worked on at once, so that each has a page
// of its own; and what waits in memory is bounded as well.
const pagesPerCall = 2

// A budget is how many pages of a run may be in hand. The functions that are
// left, be they at work or waiting, have equal shares of it. As they end, shares
// grow and never shrink: whatever earlier runs asked for and lost in a crash
// lies within the shares of those left, so that however often a run is killed,
// the next one asks for no more pages again than the whole budget.
type budget struct {
	pages int
	left  atomic.Int64 // functions
}

// share is that of one function: at least one, as no more functions are worked
// on at once than there are pages.
func (b *budget) share() int { return max(1, b.pages/int(max(1, b.left.Load()))) }

// hands are one function's share, taken by whoever asks for its pages. Waiting
// for one is waiting for the function's own pages to be kept, which takes no
// further hand: nobody waits in a circle.
type hands struct {
	budget *budget
	freed  chan struct{} // told when hands come back

	mu   sync.Mutex
	held int
}

func newHands(b *budget) *hands { return &hands{budget: b, freed: make(chan struct{}, 1)} }

// take waits for a hand, or for the context's end.
func (h *hands) take(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if h.takeFree() {
			return nil
		}
		select {
		case <-h.freed:
		case <-ctx.Done():
		}
	}
}

// takeFree takes a hand where one is free.
func (h *hands) takeFree() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held >= h.budget.share() {
		return false
	}
	h.held++
	return true
}

// give gives hands back.
func (h *hands) give(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held -= n; n > 0 {
		select {
		case h.freed <- struct{}{}:
		default:
		}
	}
}
