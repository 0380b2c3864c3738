package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"archiver/internal/archive"
)

// A position is where in a question a walk goes on.
type position struct {
	cursor archive.Cursor
	newest bool // the newest records come first
	proved bool // the source's count was proven
	short  *shorter
	single bool // one record is asked for, and the count
}

// The cursor of a checkpoint begins with these words, in this order: the newest records
// come first; the source's count was proven; a shorter question comes next, up to a
// second since 1970, without so many records, of which it may ask for so many.
const (
	newestFirst = "~newest "
	countProved = "~proven "
	shorterNext = "~shorter %d %d %d "
)

// checkpoint returns the cursor of a checkpoint.
func (p position) checkpoint() archive.Cursor {
	c := p.cursor
	if s := p.short; s != nil {
		c = archive.Cursor(fmt.Sprintf(shorterNext, s.to.Unix(), s.before, s.borders)) + c
	}
	if p.proved {
		c = countProved + c
	}
	if p.newest {
		c = newestFirst + c
	}
	return c
}

// positionOf reads the cursor of a checkpoint.
func positionOf(c archive.Cursor) position {
	cursor, newest := strings.CutPrefix(string(c), newestFirst)
	cursor, proved := strings.CutPrefix(cursor, countProved)
	p := position{newest: newest, proved: proved}
	var to int64
	var s shorter
	if n, _ := fmt.Sscanf(cursor, shorterNext, &to, &s.before, &s.borders); n == 3 {
		s.to = time.Unix(to, 0).UTC()
		p.short = &s
		cursor = strings.TrimPrefix(cursor, fmt.Sprintf(shorterNext, to, s.before, s.borders))
	}
	p.cursor = archive.Cursor(cursor)
	return p
}

// A shorter is a question for the time up to the last record of the first page of a
// question. It proves the count of that question at no cost: it is asked in place of the
// second page, and its own count must be smaller by the records that it does not ask for.
// A source that cuts its counts off gives the same count again.
type shorter struct {
	to     time.Time // the last second asked for
	before int       // records of the first page that it does not ask for
	newer  []string  // ids of these that it does not ask for in any case
	border []string  // ids of these that it asks for if the source includes borders
	last   bool      // the first page was the last one

	// After a crash the ids are not known: so many records are asked for if the source
	// includes borders.
	borders int
}

// shorten returns the shorter question. ok is false if the page does not have the newest
// records first, or if all of them start in one second.
func shorten(q question, p *archive.Page) (s shorter, ok bool) {
	n := len(p.Invocations)
	if n == 0 || len(p.Rejected) > 0 || p.Lists > 0 {
		return s, false
	}
	last := p.Invocations[n-1].Start.Truncate(time.Second)
	s.to = last.Add(archive.QueryMargin)
	for i := range p.Invocations {
		start := p.Invocations[i].Start
		if start.IsZero() || i > 0 && start.After(p.Invocations[i-1].Start) {
			return s, false
		}
		switch second := start.Truncate(time.Second); {
		case second.After(s.to):
			s.before++
			s.newer = append(s.newer, p.Invocations[i].RequestID)
		case second.After(last):
			s.before++
			s.border = append(s.border, p.Invocations[i].RequestID)
		}
	}
	s.borders = len(s.border)
	return s, s.before > s.borders && !last.Before(q.from) && s.to.Before(q.to)
}

// resolve returns how many records of the first page the shorter question does not ask
// for, as its own page p shows. ok is false if the source's counts do not differ by them, or
// if the page has one of them: then the list is not sorted by the starts.
func (s *shorter) resolve(whole int, p *archive.Page) (before int, ok bool) {
	before = s.before
	if s.newer == nil {
		before = min(before, max(whole-p.Count, before-s.borders))
	}
	for i := range p.Invocations {
		if slices.Contains(s.newer, p.Invocations[i].RequestID) {
			return 0, false
		}
		if slices.Contains(s.border, p.Invocations[i].RequestID) {
			before--
		}
	}
	return before, p.Count >= 0 && whole-p.Count == before
}

// shorter returns a question that can prove the count of a question after its first page,
// or nil.
func (w *walker) shorter(q question, t *tally, page *archive.Page) *shorter {
	s, ok := shorten(q, page)
	if !ok || w.offsets == nil || w.accepts(t.count) {
		return nil
	}
	s.last = page.Last
	return &s
}

// shorterPage asks a shorter question in place of the second page of a question. Then the
// walk goes on in the question itself, so that it notices records that come or go.
func (w *walker) shorterPage(ctx context.Context, q question, at position, t, before *tally, final bool) (a answer, next *position, err error) {
	short, whole := at.short, t.lastGiven
	at.short = nil
	query := w.query(q, at)
	query.To, query.Cursor, query.Limit, query.Tries = short.to, "", int(w.learned.value(archive.LearnedPage)), narrowTries
	page, err := w.one(ctx, query)
	var failed *pageError
	switch {
	case errors.As(err, &failed) && !short.last:
		return a, &at, nil // the walk goes on without this proof
	case err != nil && !errors.As(err, &failed):
		return a, nil, err
	}
	unproven := answer{question: q, end: endUnproven, seen: t.distinct(), count: whole, begun: true, first: t.began}
	if err != nil {
		return unproven, nil, nil //nolint:nilerr // the question itself was answered, only its proof was not
	}
	n, ok := short.resolve(whole, &page)
	if !ok && t.resumed > 0 {
		// The walk goes on without this proof, and asks for these records later.
		page.Release()
		w.slots.release(1)
		return a, &at, nil
	}
	if !ok {
		w.keep(q, page)
		return unproven, nil, nil
	}
	t.proved = true
	end, single := n+page.Len(), page.Last
	if single {
		// No later page tells whether records came or went: the last record is asked for again,
		// for its count. A crash does not lose this page then.
		page.Last = false
		end--
	}
	page.Count, page.Next = whole, w.offsets.CursorAt(end)
	if t.resumed == 0 {
		t.sent -= t.offset + page.Len() - end
		t.offset = end - page.Len()
	}
	a, at = w.took(q, at, t, before, final, &page)
	at.single = single
	if a.end != endNone {
		return a, nil, nil
	}
	return a, &at, nil
}

// proveWalk proves the count of a walk that has seen as many records. What is proven is
// kept at once: the run after a crash need not prove it again.
func (w *walker) proveWalk(ctx context.Context, a answer) (answer, error) {
	ok, _, err := w.prove(ctx, a.question, a.count)
	if kept := w.learned.keep(ctx, w.Store, w.Source.ID()); kept != nil {
		w.keepLast(&a, false)
		return a, kept
	}
	var failed *pageError
	if err != nil && !errors.As(err, &failed) {
		w.keepLast(&a, false)
		return a, err
	}
	if ok && a.seen < a.count { // the walk has stopped for the proof
		q, count := a.question, a.count
		q.byPages = true
		if a, err = w.walk(ctx, q, archive.Walk{}); err != nil {
			return a, err
		}
		ok = a.end == endUnproven && a.count == count
	}
	w.keepLast(&a, ok)
	return a, nil
}

// keepLast hands the last page of a walk to the keeper that waited for the proof of the
// walk's count, together with the outcome if the count is proven. If the page had been
// committed before that, the run after a crash would find records in the archive that its
// checkpoint does not count, and would read the span from its first page.
func (w *walker) keepLast(a *answer, proved bool) {
	if proved {
		a.end, a.proved = endWhole, true
	}
	if a.last == nil {
		return
	}
	if proved && len(w.lessThanHeld(a)) == 0 {
		a.last.Outcome, a.decided = w.outcome(*a), true
	}
	w.keeper.steps <- *a.last
	a.last = nil
}
