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
type pageSlots struct {
	taken   chan struct{} // holds a value for each slot taken
	workers atomic.Int64  // workers that have a function, or take the next one
	left    atomic.Int64  // functions at work or in the queue

	otherProcess atomic.Bool // another process has claimed functions of this run
	alive        atomic.Bool // and it is not one that was killed before
}

func newPageSlots(n int) *pageSlots {
	return &pageSlots{taken: make(chan struct{}, n)}
}

// count returns the number of slots.
func (s *pageSlots) count() int { return cap(s.taken) }

// functionSlots are the slots that one function holds, at most its share. All
// functions that are left have equal shares, so a large function does not hold up
// small ones. Shares grow as functions end, and never shrink: the pages that earlier
// runs lost in crashes lie within the shares of the functions that are left. So
// however often a run is killed, the next one asks for no more pages again than there
// are slots. If another process works too, it reads an unknown part of the functions in
// the queue: then only functions at work have shares, and the bound holds for each kill.
type functionSlots struct {
	*pageSlots
	held  atomic.Int64
	freed chan struct{} // receives a value when slots were released
}

func newFunctionSlots(s *pageSlots) *functionSlots {
	return &functionSlots{pageSlots: s, freed: make(chan struct{}, 1)}
}

// take waits for a slot. It returns the context's cause if ctx ends first.
func (s *functionSlots) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case s.taken <- struct{}{}:
		s.held.Add(1)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// share is the number of slots that one function may hold.
func (s *pageSlots) share() int64 {
	functions := s.left.Load()
	if s.alive.Load() {
		functions = s.workers.Load()
	}
	return max(1, int64(cap(s.taken))/max(1, functions))
}

// takeSpare takes a slot if that leaves the function within its share. Only the
// function's walk takes its slots.
func (s *functionSlots) takeSpare() bool {
	if s.held.Load() >= s.share() {
		return false
	}
	select {
	case s.taken <- struct{}{}:
		s.held.Add(1)
		return true
	default:
		return false
	}
}

// release gives back n slots.
func (s *functionSlots) release(n int) {
	s.held.Add(int64(-n))
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
