package completeness

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"archiver/internal/archive"
)

// errCrash is the error of a crashing store.
var errCrash = errors.New("crashed")

// A crashingStore fails at some commit, before or after it has committed.
type crashingStore struct {
	archive.Store
	mu     sync.Mutex
	random *rand.Rand
	in     int // commits until it crashes; below 0 for never
}

func (s *crashingStore) Claim(ctx context.Context, f archive.Known) (archive.Claim, error) {
	c, err := s.Store.Claim(ctx, f)
	if err != nil {
		return nil, err
	}
	return &crashingClaim{c, s}, nil
}

// crash reports whether the store crashes at this commit, and whether after it.
func (s *crashingStore) crash() (crashes, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in--
	if s.in != 0 {
		return false, false
	}
	return true, s.random.IntN(2) == 0
}

type crashingClaim struct {
	archive.Claim
	store *crashingStore
}

func (c *crashingClaim) Commit(ctx context.Context, b archive.Batch) (archive.Kept, error) {
	crashes, after := c.store.crash()
	if !crashes {
		return c.Claim.Commit(ctx, b)
	}
	if after {
		if _, err := c.Claim.Commit(ctx, b); err != nil {
			return archive.Kept{}, err
		}
	}
	return archive.Kept{}, errCrash
}
