package loop

import (
	"context"
	"fmt"

	"archiver/internal/archive"
)

// maxBatch is how many records one commit holds before no further page is added. A
// larger commit costs no less for each record.
const maxBatch = 5_000

// A keeper commits the pages of one claimed function in the order in which the walker
// read them, while the walker asks for the next pages. Pages of one walk that wait at
// the same time share a commit.
//
// A crash leaves all records up to some page, and the checkpoint after that page.
type keeper struct {
	claim    archive.Claim
	function archive.Known
	progress *archive.Progress
	patience *storePatience
	slots    *functionSlots
	steps    chan step
	ended    chan struct{} // closed when the last step is done
	err      error         // the first error; nothing is committed after it
}

// A step is pages with the checkpoint after them, or a flush, which has no pages.
type step struct {
	archive.Batch
	pages   int          // in this step, each with a slot
	ends    bool         // the walk ends here: the next step belongs to another walk
	flushed chan<- error // of a flush: receives the keeper's error, or nil
}

// newKeeper starts a keeper. ctx must outlive the reading of pages. After an error the
// keeper calls failed once, and commits nothing more.
func newKeeper(ctx context.Context, claim archive.Claim, f archive.Known, p *archive.Progress, waits *storePatience, slots *functionSlots, failed func(error)) *keeper {
	k := &keeper{
		claim: claim, function: f, progress: p, patience: waits, slots: slots,
		steps: make(chan step, slots.count()),
		ended: make(chan struct{}),
	}
	go func() {
		defer close(k.ended)
		for s := range k.steps {
			s = k.joined(s)
			if s.pages > 0 && k.err == nil {
				if k.err = k.commit(ctx, s.Batch); k.err != nil {
					failed(k.err)
				}
			}
			k.slots.release(s.pages)
			if s.flushed != nil {
				s.flushed <- k.err
			}
		}
	}()
	return k
}

// joined returns the step together with the waiting steps of the same walk.
func (k *keeper) joined(s step) step {
	for !s.ends && s.flushed == nil && len(s.Invocations) < maxBatch {
		select {
		case next, more := <-k.steps:
			if !more {
				return s
			}
			next.Invocations = append(s.Invocations, next.Invocations...)
			next.Rejected = append(s.Rejected, next.Rejected...)
			next.Strays = next.Strays || s.Strays
			if next.pages == 0 { // a flush has no checkpoint
				next.Walk, next.At = s.Walk, s.At
			}
			next.pages += s.pages
			s = next
		default:
			return s
		}
	}
	return s
}

// flush waits until all pages handed over so far are committed. It returns the
// keeper's first error.
func (k *keeper) flush() error {
	flushed := make(chan error, 1)
	k.steps <- step{flushed: flushed}
	return <-flushed
}

// close commits the remaining steps and ends the keeper. It returns the keeper's
// first error.
func (k *keeper) close() error {
	close(k.steps)
	<-k.ended
	return k.err
}

func (k *keeper) commit(ctx context.Context, b archive.Batch) error {
	b.Invocations = archive.Distinct(b.Invocations)
	count := func(n int) { k.progress.Foresee(func(f *archive.Forecast) { f.Commits(n) }) }
	count(1)
	defer count(-1)
	kept, err := k.claim.Commit(ctx, b)
	for err != nil {
		k.patience.fail(k.function.ID)
		// A lost commit may have been made: it is not made twice under this claim.
		if k.patience.Store.Trouble(err) == archive.TroubleRefused {
			err = k.patience.wait(ctx, err)
		}
		if err != nil {
			return fmt.Errorf("keep pages of %s %s: %w", k.function.Name, b.Walk.Span, err)
		}
		kept, err = k.claim.Commit(ctx, b)
	}
	k.patience.succeed(k.function.ID)
	k.progress.Update(func(t *archive.Totals) {
		t.Kept(kept)
		if b.Outcome != nil {
			t.Decided(b.Outcome.State, b.Walk.Span.Windows()-len(b.Outcome.Expired))
			t.Decided(archive.StateExpired, len(b.Outcome.Expired))
			for _, e := range b.Outcome.Expired {
				if e.Missed {
					t.Missed++
				}
			}
		}
	})
	return nil
}
