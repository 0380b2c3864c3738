package loop

import (
	"context"
	"sync/atomic"
)

// pagesPerCall is how many slots a run has for each call that the source makes at
// once: while one page is committed, the next page is asked for.
const pagesPerCall = 2

// pageSlots bounds how many pages of a run are asked for and not yet committed. That
// bounds the memory of a run, and the pages that are asked for again after a crash.
//
// A walk takes a slot before it asks for a page, and the keeper releases the slot
// once the page is committed. Committing needs no slot, so this cannot deadlock.
// There is a slot for each worker. A worker takes a second slot only if that
// leaves one for each other worker: a large function does not hold up small ones.
type pageSlots struct {
	taken   chan struct{} // holds a value for each slot taken
	freed   chan struct{} // receives a value when slots were released
	workers atomic.Int64  // workers that have a function, or take the next one
}

func newPageSlots(n int) *pageSlots {
	return &pageSlots{taken: make(chan struct{}, n), freed: make(chan struct{}, 1)}
}

// count returns the number of slots.
func (s *pageSlots) count() int { return cap(s.taken) }

// take waits for a slot. It returns the context's cause if ctx ends first.
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

// release gives back n slots.
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
