package extract

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Memory that answers take at most in this process, in bytes.
const (
	// Budget is what all answers take together, until their records are committed.
	Budget = 256 << 20

	// inHand is the part of Budget for small answers that wait for their commit.
	inHand = 64 << 20

	// How much of a body a call may read as of a small answer: see smallShare.
	smallAnswer      = 4 << 20
	leastSmallAnswer = 512 << 10

	// LargeAnswer is what a longer body takes: its records, the element that is decoded, and
	// what the commit adds.
	LargeAnswer = 128 << 20
)

// budget is shared by all calls of the process. No call waits for more of it while it has
// some, so calls cannot block each other: a call whose answer turns out to be large is
// ended, gives back its share, waits for a large one, and is made again.
var budget = semaphore.NewWeighted(Budget - inHand)

// smallShare is how much of a body each of so many calls may read: of each call two pages
// may wait for their commit.
func smallShare(concurrency int) int64 {
	return max(leastSmallAnswer, min(smallAnswer, inHand/(2*int64(concurrency))))
}

var (
	// errLarge ends an attempt whose answer needs a large share of the budget.
	errLarge = errors.New("the answer is large")

	// ErrEarly is the error of a call with Call.Early whose answer is large. It has to be
	// made again when its turn comes.
	ErrEarly = errors.New("the answer is too large to be read before its turn")
)

// A Share is the part of the budget that one answer has. The zero Share, and nil, is that
// of an answer that is not large.
type Share struct {
	mu    sync.Mutex
	large bool
}

// Large reports whether others wait until the Share is released.
func (s *Share) Large() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.large
}

// take waits for the share of a large answer.
func (s *Share) take(ctx context.Context) error {
	if budget.Acquire(ctx, LargeAnswer) != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.large = true
	usualGC.Store(int64(debug.SetGCPercent(largeGC)))
	return nil
}

// largeGC is the GOGC while an answer has the share of a large one: else the collector leaves
// as much garbage as memory in use. What is in use then is texts, which cost the collector
// little.
const largeGC = 10

var usualGC atomic.Int64 // while there is a large answer

// Release gives back the share of a large answer.
func (s *Share) Release() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.large {
		s.large = false
		debug.SetGCPercent(int(usualGC.Load()))
		budget.Release(LargeAnswer)
	}
}

// A boundedBody is a body of which only a part may be read.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
