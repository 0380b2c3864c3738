package load

import (
	"context"

	"archiver/internal/archive"
)

// A write is what one claim keeps at a time: a page and its checkpoint, or
// what became of a record in flight.
type write struct {
	claim      *claim
	batch      *archive.Batch
	checkpoint bool
	changes    *changes
	err        error
}

const (
	// maxTogether is how many records share a transaction, unless one write
	// has more.
	maxTogether = 5_000

	// maxTransactions is how many commits are under way at once. More of them
	// would each be smaller, and contend for the same logs and pages.
	maxTransactions = 3
)

// newWrites makes pages of many functions share transactions.
func newWrites(s *Store) *gather[*write] {
	return &gather[*write]{
		most: maxTransactions,
		full: func(together []*write, next *write) bool {
			records := len(next.batch.Invocations)
			for _, w := range together {
				records += len(w.batch.Invocations)
			}
			return records > maxTogether
		},
		make: s.keepTogether,
	}
}

// keepTogether commits writes in one transaction. Where one of them makes that
// fail, each is made by itself: none suffers for another.
func (s *Store) keepTogether(ctx context.Context, writes []*write) {
	if len(writes) > 1 && s.commit(ctx, writes, false) == nil {
		return
	}
	for _, w := range writes {
		w.err = s.alone(ctx, w)
	}
}
