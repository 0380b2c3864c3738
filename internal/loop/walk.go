package loop

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"archiver/internal/archive"
)

const (
	// maxWalks is how often a run walks a span until one walk has seen as many records
	// as the source counts.
	maxWalks = 4

	// A span of several windows with more than cutAbove records is cut into pieces of
	// about cutTo records. That bounds how much is read again after a drift, the ids
	// that a walk remembers, and how long a window stays partial. A piece of forty
	// pages costs at most two pages more.
	cutAbove = 40_000
	cutTo    = 20_000
)

// errCut says that the span was cut into pieces. The store has a walk for each
// piece. The records read so far are kept.
type errCut struct{ pieces []archive.Span }

func (e *errCut) Error() string { return fmt.Sprintf("span is cut into %d pieces", len(e.pieces)) }

// A walker reads the spans of one claimed function.
type walker struct {
	source   archive.Source
	claim    archive.Claim
	keeper   *keeper
	clock    archive.Clock
	function archive.Function
	seed     maphash.Seed
	slots    *functionSlots
	endRun   func(error) // ends the run, if the source denies access
	gone     bool        // the source does not know the function any more

	versioned bool // the function has other versions, which may list the same records
}

// walk reads one span until a walk is whole, at most maxWalks times. The first walk
// begins at the cursor of open, where an earlier process may have stopped.
//
// It returns a *ShortError if no walk was whole, and an *errCut if the span has to be
// read in pieces. In every case the keeper has the records that were read, and
// commits them.
func (w *walker) walk(ctx context.Context, open archive.Walk) error {
	var before *tally
	for n := 1; ; n++ {
		t := newTally(w.seed, open.Span)
		if open.Cursor != "" {
			known, err := w.archived(ctx, open.Span)
			if err != nil {
				return err
			}
			t.resume(open, known)
		}
		again, err := w.pages(ctx, open, t, before, n == maxWalks)
		if errors.Is(err, archive.ErrCursor) && n < maxWalks {
			open, before = archive.Walk{Span: open.Span}, nil // this walk was not finished: no later one can agree with it
			continue
		}
		if err != nil || !again {
			return err
		}
		open = archive.Walk{Span: open.Span}
		before = t
	}
}

// archived returns the hashed ids that the archive has of a span. Only a walk that
// resumes needs them.
func (w *walker) archived(ctx context.Context, s archive.Span) (map[uint64]struct{}, error) {
	if err := w.keeper.flush(); err != nil {
		return nil, err
	}
	known := make(map[uint64]struct{})
	for id, err := range w.claim.Archived(ctx, s) {
		if err != nil {
			return nil, err
		}
		known[maphash.String(w.seed, id)] = struct{}{}
	}
	return known, nil
}

// pages asks for the pages from the cursor to the last one. It hands each page to the
// keeper, with the checkpoint after that page. The checkpoint after the last page
// carries the outcome: a crash leaves either a walk that resumes after its last
// committed page, or windows that are decided. again is true if the span has to be
// walked again.
//
// Each page that is asked for has a slot, also the pages that the source asks for
// early. The keeper releases the slot of a page that it has committed. The source
// drops early pages beyond the end of the walk, and pages releases their slots.
func (w *walker) pages(ctx context.Context, at archive.Walk, t, before *tally, final bool) (again bool, err error) {
	asked := 0 // pages asked for and not yet handed to the keeper
	defer func() { w.slots.release(asked) }()
	q := archive.Query{
		Function: w.function, From: at.Span.From.Add(-archive.QueryMargin), To: at.Span.To.Add(archive.QueryMargin), Cursor: at.Cursor,
		Ahead: func() bool {
			if ctx.Err() != nil || !w.slots.takeSpare() {
				return false
			}
			asked++
			return true
		},
		Freed: w.slots.freed,
	}
	if err := w.takeSlot(ctx); err != nil {
		return false, err
	}
	asked = 1
	calls, release := grace(ctx, w.clock, callsEnd)
	defer release()
	for page, err := range w.source.Pages(calls, q) {
		if err != nil {
			err = sourceError(ctx, err)
			if errors.Is(err, archive.ErrDenied) {
				w.endRun(err) // before another call is made
			}
			return false, err
		}
		w.slots.release(asked - 1 - page.Ahead) // of early pages that the source dropped
		asked = page.Ahead
		t.add(&page)
		batch := archive.Batch{Invocations: page.Invocations, Rejected: page.Rejected, Strays: strays(q, &page), At: w.clock.Now()}
		var end error
		if page.Last {
			batch.Walk = archive.Walk{Span: at.Span}
			batch.Outcome, end = judge(t, before, final)
		} else {
			batch.Walk = t.open(page.Next)
			if n := t.pieces(); n > 1 {
				end = &errCut{at.Span.Cut(n)}
			}
		}
		if cut := (*errCut)(nil); errors.As(end, &cut) {
			batch.Pieces = cut.pieces
		}
		ends := page.Last || end != nil
		w.keeper.steps <- step{Batch: batch, pages: 1, ends: ends}
		if ends {
			return batch.Outcome == nil && end == nil, end
		}
		if asked == 0 {
			if err := w.takeSlot(ctx); err != nil {
				return false, err
			}
			asked = 1
		}
	}
	return false, sourceError(ctx, errors.New("the source ended its list without a last page"))
}

// takeSlot takes a slot for the next page. If there is none to spare, it first
// waits until the function's pages are committed: then the function holds none.
func (w *walker) takeSlot(ctx context.Context) error {
	if ctx.Err() == nil && w.slots.takeSpare() {
		return nil
	}
	if err := w.keeper.flush(); err != nil {
		return err
	}
	return w.slots.take(ctx)
}

// strays reports whether a page has records that start outside the query.
func strays(q archive.Query, p *archive.Page) bool {
	for i := range p.Invocations {
		if start := p.Invocations[i].Start; !start.IsZero() && (start.Before(q.From) || start.Truncate(time.Second).After(q.To)) {
			return true
		}
	}
	return false
}

// sourceError returns the cause of the context's end, if ctx has ended. Otherwise it
// wraps err as an error of the source.
func sourceError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return &archive.SourceError{Err: err}
}

// judge decides the outcome of a walk that reached its last page. Without an outcome
// and an error, the span has to be walked again.
func judge(t, before *tally, final bool) (*archive.Outcome, error) {
	v := t.verdict()
	switch {
	case v == whole, v == uncounted && t.agrees(before):
		return &archive.Outcome{State: archive.StateComplete, Counts: t.counts()}, nil
	case !final:
		return nil, nil
	case t.span.Windows() > 1:
		// Reading hour by hour shows which window is short.
		return nil, &errCut{t.span.Cut(t.span.Windows())}
	default:
		err, counts := t.short()
		return &archive.Outcome{State: archive.StateShort, Counts: counts, Err: err.Error()}, err
	}
}

// open returns the checkpoint after a page that is not the last. If the walk has
// drifted, the checkpoint is the first page: the next run has to walk the span again.
func (t *tally) open(next archive.Cursor) archive.Walk {
	if t.moved {
		return archive.Walk{Span: t.span}
	}
	return archive.Walk{Span: t.span, Cursor: next, Seen: t.distinct(), Count: t.lastGiven}
}

// pieces returns into how many pieces the span of an unfinished walk is cut; 1 is no
// cut. The source's count on the first page decides. If there is no count, the span is
// cut into its hours once the walk has seen more than cutAbove records.
func (t *tally) pieces() int {
	switch windows := t.span.Windows(); {
	case windows == 1 || t.resumed > 0:
		return 1
	case t.pages == 1 && t.count > cutAbove:
		return min(windows, (t.count+cutTo-1)/cutTo)
	case t.count < 0 && t.distinct() > cutAbove:
		return windows
	default:
		return 1
	}
}
