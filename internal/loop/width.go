package loop

import (
	"context"
	"errors"
	"time"

	"archiver/internal/archive"
)

// findWidest finds out how many windows a question may have, if the source refuses this
// one because of its width: it answers one as wide as answered. It makes at most eleven
// calls for a question of a month.
func (w *walker) findWidest(ctx context.Context, q question, answered time.Duration) error {
	gives := func(q question) (bool, error) {
		err := w.probe(ctx, archive.Query{From: q.from, To: q.to, Limit: 1})
		var failed *pageError
		if errors.As(err, &failed) {
			return false, nil
		}
		return err == nil, err
	}
	if ok, err := gives(q); ok || err != nil || !w.may(1) {
		return err // the width was not the cause
	}
	windows, refused := int((answered-2*archive.QueryMargin)/archive.Hour), q.windows()
	for refused-windows > 1 && w.may(1) {
		middle := (windows + refused) / 2
		wide := questionOf(archive.Span{From: q.span.From, To: q.span.From.Add(time.Duration(middle) * archive.Hour)})
		ok, err := gives(wide)
		switch {
		case err != nil:
			return err
		case ok:
			windows, answered = middle, wide.width()
		default:
			refused = middle
		}
	}
	w.learned.set(archive.LearnedRange, int64(answered/time.Second), w.Clock.Now())
	return nil
}

// findLast finds out whether the source gives no more records to a question than those
// that came before a page of it failed: it still refuses the next record.
func (w *walker) findLast(ctx context.Context, a answer) error {
	if !w.may(1) {
		return nil
	}
	err := w.probe(ctx, archive.Query{From: a.from, To: a.to, Cursor: w.offsets.CursorAt(a.seen), Limit: 1})
	var failed *pageError
	if errors.As(err, &failed) {
		w.cutsOff(a.seen)
		return nil
	}
	return err
}

// tooWide reports whether a question is wider than the source is known to answer.
func (w *walker) tooWide(q question) bool {
	widest := w.learned.seconds(archive.LearnedRange)
	return widest > 0 && q.width() > widest
}

// narrowEnough returns the question in parts that are not too wide.
func (w *walker) narrowEnough(q question) []question {
	q.part = true
	halves, ok := q.halves()
	if !ok || !w.tooWide(q) {
		return []question{q}
	}
	return append(w.narrowEnough(halves[0]), w.narrowEnough(halves[1])...)
}

// readTooWide reads a window for which the source answers no question as wide. If one of
// its parts begins too long ago, reading that part has found the edge.
func (w *walker) readTooWide(ctx context.Context, q question) (answer, error) {
	a, err := w.halve(ctx, answer{question: q, end: endMany, count: -1})
	if err != nil || a.end != endFailed || !q.decides() {
		return a, err
	}
	edge := w.learnedEdge()
	if ok, err := w.beginsBefore(ctx, q, edge); ok || err != nil {
		return a, err
	}
	return w.afterEdge(ctx, a, edge)
}
