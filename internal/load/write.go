package load

import (
	"context"
	"sync"
	"sync/atomic"

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

	// maxTransactions is how many are under way at once. What comes meanwhile
	// waits, and then goes together: more transactions at once would each be
	// smaller.
	maxTransactions = 2
)

// writes brings together what is to be written at the same time: pages of many
// small functions share a transaction, and so its flush, its statements and
// their round trips. A write that comes alone does not wait for others.
type writes struct {
	store *Store

	mu       sync.Mutex
	waiting  []*waiting
	underWay int
}

// A waiting write belongs to somebody who waits for it.
type waiting struct {
	*write
	ctx  context.Context
	done chan struct{}
}

// do makes a write, and answers when it is made. A write whose ctx has ended
// goes on for as long as others share its transaction.
func (q *writes) do(ctx context.Context, w *write) error {
	mine := &waiting{write: w, ctx: ctx, done: make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, mine)
	if q.underWay < maxTransactions {
		q.underWay++
		go q.work()
	}
	q.mu.Unlock()
	<-mine.done
	return w.err
}

// work makes transactions of what waits, until nothing does.
func (q *writes) work() {
	for {
		together := q.take()
		if together == nil {
			return
		}
		q.make(together)
		for _, w := range together {
			close(w.done)
		}
	}
}

// take is the next transaction's writes, first come, first served; nil where
// there are none, and then the caller is not counted as under way any more.
func (q *writes) take() (together []*waiting) {
	q.mu.Lock()
	defer q.mu.Unlock()
	records := 0
	for _, w := range q.waiting {
		if records += len(w.batch.Invocations); records > maxTogether && len(together) > 0 {
			break
		}
		together = append(together, w)
	}
	q.waiting = q.waiting[len(together):]
	if together == nil {
		q.underWay--
	}
	return together
}

// make commits the writes together. Where one of them makes that fail, each is
// made by itself: none suffers for another.
func (q *writes) make(together []*waiting) {
	if len(together) == 1 {
		w := together[0]
		w.err = q.store.alone(w.ctx, w.write)
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(together[0].ctx))
	defer cancel()
	var left atomic.Int32
	left.Store(int32(len(together)))
	list := make([]*write, len(together))
	for i, w := range together {
		list[i] = w.write
		stop := context.AfterFunc(w.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
		defer stop()
	}
	if q.store.commit(ctx, list, false) == nil {
		return
	}
	for _, w := range together {
		w.err = q.store.alone(w.ctx, w.write)
	}
}
