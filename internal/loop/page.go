package loop

import (
	"context"
	"errors"
	"time"

	"archiver/internal/archive"
)

// passPage reads the records of a page that failed in smaller pages. A record that no
// page gives is passed over: then the answer is failed, and everything else is kept.
// next is the position after the page. If a smaller page does not help, the answer is
// failed, and the question has to be divided by time.
func (w *walker) passPage(ctx context.Context, q question, at *position, t, before *tally, final bool, failed *pageError) (a answer, next *position, err error) {
	a = answer{question: q, end: endFailed, err: failed, seen: t.distinct(), count: t.lastGiven, first: t.began, begun: t.pages > 0 || t.resumed > 0}
	t.failed = true
	size, offset := w.pageSize(), -1
	if t.offset >= 0 && w.offsets != nil {
		offset = t.offset
	}
	if offset < 0 && (size == 1 || q.page) || q.page && t.pages == 0 && !q.narrowest() {
		return a, nil, nil
	}
	if err := w.answers(ctx, failed); err != nil {
		return a, nil, err
	}
	helps, err := w.smallerPageHelps(ctx, q, *at, t, offset, size)
	if err != nil || !helps {
		return a, nil, err
	}
	p := smallerPages{walker: w, question: q, at: *at, tally: t, before: before, final: final, offset: offset, size: size, end: offset + size}
	return p.read(ctx, a)
}

// pageSize is the number of records of a page that is asked for now.
func (w *walker) pageSize() int {
	if learned := int(w.learned.value(archive.LearnedPage)); learned > 0 {
		return min(learned, w.traits.Page)
	}
	return w.traits.Page
}

// smallerPageHelps asks for one record: the first one of a question whose first page
// failed, or the one after a later page, and then for the next one. If the source gives
// neither, the cause lies in the span, or the list goes no further.
func (w *walker) smallerPageHelps(ctx context.Context, q question, at position, t *tally, offset, size int) (bool, error) {
	query := w.query(q, at)
	query.Limit = 1
	further := false
	if offset > 0 && t.count > offset {
		beyond := min(offset+size, t.count-1)
		query.Cursor, further = w.offsets.CursorAt(beyond), beyond == offset+size
	}
	if !w.may(1) {
		return false, nil
	}
	err := w.probe(ctx, query)
	var failed *pageError
	if errors.As(err, &failed) && offset >= 0 && !further {
		query.Cursor = w.offsets.CursorAt(offset + 1) // it may be that record alone that fails
		err = w.probe(ctx, query)
	}
	if !errors.As(err, &failed) {
		return err == nil, err
	}
	if further {
		w.cutsOff(offset)
	}
	return false, nil
}

// smallerPages reads the records of one page in smaller pages.
type smallerPages struct {
	*walker
	question question
	at       position
	tally    *tally
	before   *tally // of the walk before
	final    bool   // no walk follows
	offset   int    // of the next record; -1 if cursors are not offsets
	size     int    // of the next page
	end      int    // offset after the page that failed
	passed   int    // offset after the record that was passed over last
}

func (p *smallerPages) read(ctx context.Context, a answer) (answer, *position, error) {
	// A list of tokens may end there with any size of the page.
	learns := p.offset >= 0 || p.tally.pages == 0
	p.size = max(1, p.size/2)
	for p.offset < 0 || p.offset < p.end {
		if p.offset >= 0 {
			p.size = min(p.size, p.end-p.offset)
		}
		query := p.query(p.question, p.at)
		query.Limit, query.Tries = p.size, narrowTries
		page, err := p.one(ctx, query)
		var failed *pageError
		switch {
		case errors.As(err, &failed) && !p.may(1):
			return a, nil, nil
		case errors.As(err, &failed) && p.size > 1:
			p.size /= 2
			continue
		case errors.As(err, &failed) && p.offset < 0:
			return a, nil, nil // a token leads to no other page
		case errors.As(err, &failed) && p.passed > 0 && p.passed == p.offset:
			return a, nil, nil // the list goes no further, or the cause lies in the span
		case errors.As(err, &failed):
			p.pass(failed)
			p.passed = p.offset
			continue
		case err != nil:
			return a, nil, err
		}
		got, at := p.took(p.question, p.at, p.tally, p.before, p.final, &page)
		p.at = at
		if got.end != endNone {
			return got, nil, nil
		}
		if p.offset < 0 || page.Len() == 0 || p.at.short != nil {
			break
		}
		p.offset += page.Len()
	}
	if learns && len(p.tally.holes) == 0 {
		p.learned.set(archive.LearnedPage, int64(p.size), p.Clock.Now())
	}
	return answer{}, &p.at, nil
}

// A hole is a record that was passed over, in a list that is sorted by time.
type hole struct {
	before, after time.Time // the starts of its neighbours; zero for none
	err           error
}

// pass notes that the next element of the list was passed over.
func (t *tally) pass(err error) {
	t.holes = append(t.holes, hole{before: t.lastStart, err: err})
	t.offset++
}

// span returns the time in which the record that was passed over starts, within the
// time that was asked for.
func (h hole) span(q question) archive.Span {
	s := archive.Span{From: h.after, To: h.before}
	if !h.before.IsZero() && !h.after.IsZero() && h.before.Before(h.after) {
		s = archive.Span{From: h.before, To: h.after}
	}
	if s.From.IsZero() {
		s.From = q.from
	}
	if s.To.IsZero() {
		s.To = q.to
	}
	s = archive.Span{From: latest(s.From.Truncate(time.Second), q.from), To: earliest(s.To.Truncate(time.Second).Add(time.Second), q.to)}
	if !s.From.Before(s.To) {
		return q.asked() // the list is not sorted by the starts
	}
	return s
}

// nameHole finds the smallest question that fails where records were passed over: their
// place in the list tells it only if the list is sorted by time. If nothing fails there,
// it reports false.
func (w *walker) nameHole(ctx context.Context, a *answer) (named bool, err error) {
	if !a.holes || a.narrowest() {
		return a.holes, nil
	}
	part := a.question
	part.from, part.to = a.smallest.From, a.smallest.To
	if part.width() >= a.width() {
		return false, nil
	}
	part.part, part.page, part.begins, part.tries = true, true, true, narrowTries
	got, err := w.read(ctx, part, archive.Walk{})
	a.smallest, a.stuck = got.smallest, got.stuck
	if err != nil || got.end != endFailed {
		return false, err
	}
	a.cutAround()
	return true, nil
}

// withHoles returns the answer to a walk that passed over records.
func (w *walker) withHoles(a answer, t *tally) answer {
	a.end, a.err = endFailed, &archive.SourceError{Err: t.holes[0].err}
	a.holes = w.accepts(t.distinct() + len(t.holes)) // else the list may have been cut off as well
	a.stuck = a.holes
	a.smallest = t.holes[0].span(a.question)
	for _, h := range t.holes[1:] {
		s := h.span(a.question)
		a.smallest.From, a.smallest.To = earliest(a.smallest.From, s.From), latest(a.smallest.To, s.To)
	}
	a.cutAround()
	return a
}

// cutAround cuts a question around the part of it that fails. All other windows are read
// again by themselves: that the list is sorted is not certain.
func (a *answer) cutAround() {
	first := latest(archive.WindowOf(a.smallest.From), a.span.From)
	last := earliest(archive.WindowOf(a.smallest.To).Add(archive.Hour), a.span.To)
	if a.windows() <= 1 || !a.decides() || !first.Before(last) || first.Equal(a.span.From) && last.Equal(a.span.To) {
		return
	}
	a.end = endCut
	for _, s := range []archive.Span{{From: a.span.From, To: first}, {From: first, To: last}, {From: last, To: a.span.To}} {
		if s.Windows() > 0 {
			a.cut = append(a.cut, s)
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// pass goes on after a record that no page gives.
func (p *smallerPages) pass(failed *pageError) {
	p.offset++
	p.at.cursor = p.offsets.CursorAt(p.offset)
	p.tally.pass(failed)
	p.size = p.end - p.offset
}
