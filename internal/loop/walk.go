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
	// maxWalks is how often a span is walked in one run until the walk has seen as
	// many records as the source counts.
	maxWalks = 4

	// A span of several windows that holds more than cutAbove records is cut
	// into pieces of about cutTo. That bounds what a drift makes us read
	// again, what a walk has to remember, and how long a window stays partial;
	// a piece costs two pages more than its records fill at worst, of forty.
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
	slots    *pageSlots
	endRun   func(error) // of all functions, where the source denies access
	gone     bool        // the source does not know the function any more

	versioned bool // there are other versions of it, that may give the same records
}

// walk reads one span until it is whole, or has been walked maxWalks times.
// open is where an earlier process stopped; an empty cursor is the beginning.
//
// It returns a *ShortError where the source kept counting more than it gave,
// and an *errCut where the span is to be read in pieces. In every case what was
// read is kept, or will be: the keeper has it.
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
			open, before = archive.Walk{Span: open.Span}, nil // what this one saw is no walk to agree with
			continue
		}
		if err != nil || !again {
			return err
		}
		open = archive.Walk{Span: open.Span}
		before = t
	}
}

// archived is the set of hashed ids that the archive has of a span. Only a walk
// that resumes needs it.
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

// pages asks for the pages from the cursor to the last one, and hands each to the
// keeper with the checkpoint after it. The last page's checkpoint carries the
// outcome: a crash leaves either a walk that resumes after its last page kept, or
// windows that are decided. again is true if the span has to be walked again.
//
// Each page under way has a slot, also the pages that the source asks for early.
// The keeper releases the slot of a page that it has committed. The source throws
// away early pages beyond the end of the walk.
func (w *walker) pages(ctx context.Context, at archive.Walk, t, before *tally, final bool) (again bool, err error) {
	asked := 0 // pages under way
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
	calls, release := grace(ctx, w.clock, callGrace)
	defer release()
	for page, err := range w.source.Pages(calls, q) {
		if err != nil {
			err = sourceError(ctx, err)
			if errors.Is(err, archive.ErrDenied) {
				w.endRun(err) // before another call is made
			}
			return false, err
		}
		w.slots.release(asked - 1 - page.Ahead) // of those thrown away
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

// strays reports whether a page has records that start outside of what was
// asked for.
func strays(q archive.Query, p *archive.Page) bool {
	for i := range p.Invocations {
		if start := p.Invocations[i].Start; !start.IsZero() && (start.Before(q.From) || start.Truncate(time.Second).After(q.To)) {
			return true
		}
	}
	return false
}

// sourceError is an error of the source, or the cause of the context's end.
func sourceError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return &archive.SourceError{Err: err}
}

// judge decides a walk that reached its last page. No outcome and no error:
// walk again.
func judge(t, before *tally, final bool) (*archive.Outcome, error) {
	v := t.verdict()
	switch {
	case v == whole, v == uncounted && t.agrees(before):
		return &archive.Outcome{State: archive.StateComplete, Counts: t.counts()}, nil
	case !final:
		return nil, nil
	case t.span.Windows() > 1:
		// Hour by hour shows which of the windows is short.
		return nil, &errCut{t.span.Cut(t.span.Windows())}
	default:
		err, counts := t.short()
		return &archive.Outcome{State: archive.StateShort, Counts: counts, Err: err.Error()}, err
	}
}

// open is the walk as a page that is not the last leaves it. One that drifted
// has to be made again: the next run begins it from the first page.
func (t *tally) open(next archive.Cursor) archive.Walk {
	if t.moved {
		return archive.Walk{Span: t.span}
	}
	return archive.Walk{Span: t.span, Cursor: next, Seen: t.distinct(), Count: t.total}
}

// pieces is into how many pieces the span of an unfinished walk is to be cut.
// The first page's count tells; where there is none to go by, the walk shows
// by its own length that the span is large, and it is cut into its hours.
func (t *tally) pieces() int {
	switch windows := t.span.Windows(); {
	case windows == 1 || t.resumed > 0:
		return 1
	case t.pages == 1 && t.count() > cutAbove:
		return min(windows, (t.count()+cutTo-1)/cutTo)
	case t.count() < 0 && t.distinct() > cutAbove:
		return windows
	default:
		return 1
	}
}
