package completeness

import (
	"context"
	"errors"
	"math/rand/v2"

	"archiver/internal/archive"
)

// errCrash is the error of a crashing store.
var errCrash = errors.New("crashed")

// A crashingStore fails at some commit, before or after it has committed.
type crashingStore struct {
	archive.Store
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

type crashingClaim struct {
	archive.Claim
	store *crashingStore
}

func (c *crashingClaim) Commit(ctx context.Context, b archive.Batch) (archive.Kept, error) {
	c.store.in--
	if c.store.in != 0 {
		return c.Claim.Commit(ctx, b)
	}
	if c.store.random.IntN(2) == 0 {
		if _, err := c.Claim.Commit(ctx, b); err != nil {
			return archive.Kept{}, err
		}
	}
	return archive.Kept{}, errCrash
}
