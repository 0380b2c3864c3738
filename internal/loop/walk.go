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
	// maxWalks is how often a run walks a question until one walk has seen as many
	// records as the source counts.
	maxWalks = 4

	// A question of several windows with more than cutAbove records is cut into pieces
	// of about cutTo records. That bounds how much is read again after a drift, the ids
	// that a walk remembers, and how long a window stays partial. A piece of forty
	// pages costs at most two pages more.
	cutAbove = 40_000
	cutTo    = 20_000
)

// A walker reads the spans of one claimed function.
type walker struct {
	*run
	claim    archive.Claim
	keeper   *keeper
	function archive.Known
	seed     maphash.Seed
	slots    *functionSlots
	gone     bool // the source does not know the function any more

	newest    time.Time                   // the last due window of the function
	begun     map[time.Time]archive.Begun // windows that earlier runs read in part
	doubted   []archive.Learned           // counts of complete spans that have to be proven
	shortPart archive.Span                // of the window that is read now: the part that an earlier run found short, and is short
	again     archive.Span                // windows read again, which were complete before: they do not expire
	alive     bool                        // the function has answered since a question failed
}

// walk asks one question until a walk is whole, at most maxWalks times. The first walk
// begins at the cursor of open, where an earlier process may have stopped. In every
// case the keeper has the records that were read, and commits them.
//
// An error ends the work on the function; what concerns the question alone is in the
// answer.
func (w *walker) walk(ctx context.Context, q question, open archive.Walk) (answer, error) {
	var before *tally
	refused := false // a cursor
	most := maxWalks
	if q.tries > 0 {
		most = min(most, q.tries)
	}
	for n := 1; ; n++ {
		t := newTally(w.seed, q.span)
		t.began = w.Clock.Now()
		at := positionOf(open.Cursor)
		if open.Cursor != "" {
			known, err := w.archived(ctx, q.span)
			if err != nil {
				return answer{}, err
			}
			t.resume(open, known)
			t.proved = at.proved
			if t.earlier, err = w.heldEarlier(ctx, q.span); err != nil {
				return answer{}, err
			}
		}
		// The second walk of a list without counts reads it from its other end.
		if before != nil && before.count < 0 && w.traits.SortsBothWays {
			at.newest = !before.newest
		}
		t.newest, t.again = at.newest, refused
		a, err := w.pages(ctx, q, at, t, before, n == most)
		if err != nil || a.end != endAgain {
			return a, err
		}
		open, before = archive.Walk{Span: q.span}, t
		if !t.finished {
			before, refused = nil, true // no later walk can agree with this one
		}
	}
}

// heldEarlier returns how many records the archive has of each window of a span that the
// source may have forgotten: a walk that resumes has not seen them.
func (w *walker) heldEarlier(ctx context.Context, s archive.Span) (map[time.Time]int, error) {
	var hours []time.Time
	for hour := s.From; hour.Before(s.To) && w.Clock.Now().Sub(hour) > believedAge; hour = hour.Add(archive.Hour) {
		hours = append(hours, hour)
	}
	counts := make(map[time.Time]int)
	if len(hours) == 0 {
		return counts, nil
	}
	held, err := w.claim.Held(ctx, hours)
	if err != nil {
		return nil, fmt.Errorf("look up what is archived of %s %s: %w", w.function.Name, s, err)
	}
	for hour, h := range held {
		counts[hour] = h.Records
	}
	return counts, nil
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

// pages asks for the pages of one walk. It hands each page to the keeper, with the
// checkpoint after that page. The checkpoint after the last page carries the outcome: a
// crash leaves either a walk that resumes after its last committed page, or windows
// that are decided.
func (w *walker) pages(ctx context.Context, q question, at position, t, before *tally, final bool) (answer, error) {
	for {
		var a answer
		var next *position
		var err error
		if at.short == nil {
			a, next, err = w.list(ctx, q, at, t, before, final)
		} else {
			a, next, err = w.shorterPage(ctx, q, at, t, before, final)
		}
		var failed *pageError
		switch {
		case errors.As(err, &failed):
			if errors.Is(err, archive.ErrCursor) && !final && !t.again && q.tries == 0 {
				return answer{question: q, end: endAgain}, nil
			}
			a, next, err = w.passPage(ctx, q, next, t, before, final, failed)
		case err != nil:
			return a, err
		}
		if err != nil || next == nil {
			return a, err
		}
		at = *next
	}
}

// list asks for the pages of one list from a position on, until the walk ends or has to
// go on at another position: next is that position, nil if the walk ended. After a
// *pageError, next is the position of the page that failed.
//
// Each page that is asked for has a slot, also the pages that the source asks for
// early. The keeper releases the slot of a page that it has committed. The source
// drops early pages beyond the end of the walk, and list releases their slots.
func (w *walker) list(ctx context.Context, q question, at position, t, before *tally, final bool) (a answer, next *position, err error) {
	asked := 0 // pages asked for and not yet handed to the keeper
	defer func() { w.slots.release(asked) }()
	if err := w.takeSlot(ctx); err != nil {
		return a, nil, err
	}
	asked = 1
	query := w.query(q, at)
	query.Limit = int(w.learned.value(archive.LearnedPage))
	if at.single {
		query.Limit = 1
	}
	if t.failed {
		query.Tries = narrowTries
	}
	query.Ahead = func() bool {
		if ctx.Err() != nil || !w.slots.takeSpare() {
			return false
		}
		asked++
		return true
	}
	query.Freed, query.Ended = w.slots.freed, ctx.Done()
	calls, release := grace(ctx, w.Clock, callsEnd)
	defer release()
	for page, err := range w.Source.Pages(calls, query) {
		if err != nil {
			return a, &at, w.callError(ctx, query, err)
		}
		w.slots.release(asked - 1 - page.Ahead) // of early pages that the source dropped
		asked = page.Ahead
		a, at = w.took(q, at, t, before, final, &page)
		switch {
		case a.end != endNone:
			return a, nil, nil
		case at.short != nil:
			return a, &at, nil
		}
		if asked == 0 {
			if err := w.takeSlot(ctx); err != nil {
				return a, nil, err
			}
			asked = 1
		}
	}
	return a, &at, w.pageError(ctx, errors.New("the source ended its list without a last page"))
}

// query returns the query for a question from a position on.
func (w *walker) query(q question, at position) archive.Query {
	return archive.Query{
		Function: w.function.Function, From: q.from, To: q.to, Cursor: at.cursor, Newest: at.newest, Tries: q.tries,
	}
}

// took judges a page and hands it to the keeper. It returns the position after the
// page, or the answer if the walk ends here.
func (w *walker) took(q question, at position, t, before *tally, final bool, page *archive.Page) (a answer, next position) {
	w.answered(q, page)
	w.sayZone(q, page)
	t.add(page)
	w.forecast.took(w.function.ID, q, t.count, t.distinct(), w.pageSize(), page.Last)
	at.cursor, at.short, at.single = page.Next, nil, false
	batch := archive.Batch{
		Invocations: page.Invocations, Rejected: page.Rejected, Strays: strays(q, page), At: w.Clock.Now(),
		Walk: archive.Walk{Span: q.span},
	}
	switch {
	case page.Last:
		t.finished = true
		if a = w.judge(q, t, before, final); a.end == endUnproven && !q.byPages && t.pages == 1 && t.resumed == 0 {
			if at.short = w.shorter(q, t, page); at.short != nil {
				a = answer{}
			}
		}
		if a.end == endWhole && q.decides() && len(w.lessThanHeld(&a)) == 0 {
			batch.Outcome = w.outcome(a)
			a.decided = true
		}
	default:
		if a = w.tooMany(q, t); a.end == endNone && t.pages == 1 && t.resumed == 0 && t.count >= w.traits.Page && !q.byPages {
			at.short = w.shorter(q, t, page)
		}
	}
	if at.proved = t.proved; a.end == endNone && !q.defers && !q.part {
		batch.Walk = t.open(at.checkpoint())
	}
	ends := a.end != endNone
	a.begun = ends && !a.decided
	if a.end == endCut && q.decides() {
		batch.Pieces = a.cut
		a.decided = true
	}
	s := step{Batch: batch, pages: 1, ends: ends}
	if a.end == endUnproven && q.decides() && page.Free == nil {
		a.last = &s
		return a, at
	}
	w.keeper.steps <- s
	w.release(page)
	return a, at
}

// release waits until a large page is committed, and then lets other large answers be read.
// The keeper's error comes again with the next flush.
func (w *walker) release(page *archive.Page) {
	if page.Free != nil {
		_ = w.keeper.flush()
		page.Release()
	}
}

// keep hands a page to the keeper that is no part of a walk.
func (w *walker) keep(q question, page archive.Page) {
	w.keeper.steps <- step{pages: 1, Batch: archive.Batch{
		Invocations: page.Invocations, Rejected: page.Rejected, Strays: strays(q, &page), At: w.Clock.Now(),
		Walk: archive.Walk{Span: q.span},
	}}
	w.release(&page)
}

// one asks for one page, for which it takes a slot. The caller releases the page.
func (w *walker) one(ctx context.Context, query archive.Query) (archive.Page, error) {
	if err := w.takeSlot(ctx); err != nil {
		return archive.Page{}, err
	}
	for page, err := range w.Source.Pages(ctx, query) {
		if err != nil {
			w.slots.release(1)
			return archive.Page{}, w.callError(ctx, query, err)
		}
		return page, nil
	}
	w.slots.release(1)
	return archive.Page{}, w.pageError(ctx, errors.New("the source gave no page"))
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

// strays reports whether a page has records that start outside the question.
func strays(q question, p *archive.Page) bool {
	for i := range p.Invocations {
		if start := p.Invocations[i].Start; !start.IsZero() && (start.Before(q.from) || start.Truncate(time.Second).After(q.to)) {
			return true
		}
	}
	return false
}

// open returns the checkpoint after a page that is not the last. If the walk has
// drifted, the checkpoint is the first page: the next run has to walk the span again.
func (t *tally) open(next archive.Cursor) archive.Walk {
	if t.moved {
		return archive.Walk{Span: t.span}
	}
	return archive.Walk{Span: t.span, Cursor: next, Seen: t.distinct(), Count: t.lastGiven}
}
