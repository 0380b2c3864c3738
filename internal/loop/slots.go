package loop

import (
	"context"
	"sync/atomic"
)

// pagesPerCall is how many pages of a run may be in hand for each call that the
// source makes at once: while one page is committed, another one is asked for.
const pagesPerCall = 2

// pageSlots bound the pages of a run that are in hand: asked for, and not yet
// committed. They bound the memory of a run, and what the next run asks for again
// after a crash.
//
// A walk takes a slot before it asks for a page, and the keeper releases the slot
// once the page is committed. Committing needs no slot, so this cannot deadlock.
// There is a slot for each worker. A worker takes a second slot only if that
// leaves one for each other worker: a large function does not hold up small ones.
type pageSlots struct {
	taken   chan struct{} // holds a value for each slot taken
	freed   chan struct{} // receives a value when slots were released
	workers atomic.Int64  // that have a function, or take the next one
}

func newPageSlots(n int) *pageSlots {
	return &pageSlots{taken: make(chan struct{}, n), freed: make(chan struct{}, 1)}
}

// count is how many slots there are.
func (s *pageSlots) count() int { return cap(s.taken) }

// take waits for a slot. Its error is the cause of the context's end.
func (s *pageSlots) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// takeSpare takes a slot if that leaves one free for each other worker.
func (s *pageSlots) takeSpare() bool {
	if len(s.taken)+int(s.workers.Load()) > cap(s.taken) {
		return false
	}
	select {
	case s.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *pageSlots) release(n int) {
	for range n {
		<-s.taken
	}
	if n > 0 {
		select {
		case s.freed <- struct{}{}:
		default:
		}
	}
}
