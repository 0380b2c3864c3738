package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"archiver/internal/archive"
)

const (
	// maxNarrowing is how many calls a run makes for one function that bring no records:
	// parts of questions that fail, and calls that find out why. Each may be tried
	// narrowTries times.
	maxNarrowing = 100

	// narrowTries is how often a part of a failed question is asked for: the whole was
	// retried for longer.
	narrowTries = 2
)

// errFunction is the error of a function that answers no question.
type errFunction struct{ err error }

func (e *errFunction) Error() string { return e.err.Error() }
func (e *errFunction) Unwrap() error { return e.err }

// errSource is the error of a source that does not answer its cheapest call.
type errSource struct{ err error }

func (e *errSource) Error() string { return fmt.Sprintf("the source does not answer: %v", e.err) }
func (e *errSource) Unwrap() error { return e.err }

// read reads a question to its end. If it is refused, fails, stays short or is not
// proven, it is asked in two halves, and these again, down to a second.
//
// An error ends the work on the function. What concerns the question alone is in the
// answer.
func (w *walker) read(ctx context.Context, q question, open archive.Walk) (answer, error) {
	switch {
	case !w.tooWide(q):
	case q.windows() <= 1:
		return w.readTooWide(ctx, q)
	case q.decides():
		most := max(1, int((w.learned.seconds(archive.LearnedRange)-2*archive.QueryMargin)/archive.Hour))
		pieces := q.span.Cut((q.windows() + most - 1) / most)
		return answer{question: q, end: endCut, cut: pieces, begun: open.Cursor != ""}, nil
	}
	a, err := w.walk(ctx, q, open)
	if err != nil {
		return a, err
	}
	if a.end == endUnproven {
		if a, err = w.proveWalk(ctx, a); err != nil {
			return a, err
		}
	}
	switch a.end {
	case endUnproven, endMany, endShort:
		a.begins = true
		return w.halve(ctx, a)
	case endFailed:
		if named, err := w.nameHole(ctx, &a); named || err != nil {
			return a, err
		}
		return w.narrow(ctx, a)
	default:
		return a, nil
	}
}

// may reports whether so many more calls may be made to narrow questions of the function
// in this run.
func (w *walker) may(calls int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.narrowed[w.function.ID]+calls <= maxNarrowing
}

// spend counts calls that narrow questions of the function, if so many may be made.
func (w *walker) spend(calls int) bool {
	if !w.may(calls) {
		return false
	}
	w.spent(calls)
	return true
}

// spent counts calls that were made to narrow questions of the function.
func (w *walker) spent(calls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.narrowed[w.function.ID] += calls
}

// probe makes one call that finds out why a question fails.
func (w *walker) probe(ctx context.Context, q archive.Query) error {
	q.Tries = narrowTries
	_, err := w.peek(ctx, q)
	if err == nil {
		w.spent(1)
	}
	return err
}

// callError is pageError for a call that failed. A call for a part of a question, or to
// find out why it fails, is one that narrows it, however often it was tried.
func (w *walker) callError(ctx context.Context, q archive.Query, err error) error {
	if q.Tries > 0 {
		w.spent(1)
	}
	return w.pageError(ctx, err)
}

// split replaces the walk that the store has of a question's windows by walks of its
// halves. After a crash the next run reads these.
func (w *walker) split(ctx context.Context, a answer, halves [2]question) error {
	if !a.begun || a.windows() <= 1 {
		return nil
	}
	if err := w.keeper.flush(); err != nil {
		return err
	}
	return w.keeper.commit(ctx, archive.Batch{
		Walk: archive.Walk{Span: a.span}, Pieces: []archive.Span{halves[0].span, halves[1].span}, At: w.Clock.Now(),
	})
}

// halve reads a question in two halves, since its count is not proven, or its walks did
// not see as many records as the source counts. The halves' records have to add up to
// the count of the whole. If the halves have more, and the count of the whole stays as
// it is, the source cuts off there: then the halves are what counts.
func (w *walker) halve(ctx context.Context, a answer) (answer, error) {
	if a.end == endShort && a.windows() == 1 && w.shortPart.From.After(a.from) && w.shortPart.To.Before(a.to) {
		a.smallest, a.stuck = w.shortPart, true // an earlier run has found the part that is short
		return a, nil
	}
	halves, ok := a.halves()
	if !ok || a.end == endShort && !w.spend(1) {
		a.end, a.smallest, a.stuck = endShort, a.asked(), !ok
		if a.err == nil {
			a.err = &archive.ShortError{Saw: a.seen, Count: a.count}
		}
		return a, nil
	}
	if err := w.split(ctx, a, halves); err != nil {
		return a, err
	}
	whole := a.count
	if whole < 0 {
		whole = a.seen
	}
	most := rounds
	if a.defers || a.part {
		most = 1 // the question that this one is a part of is asked again
	}
	for range most {
		var got [2]answer
		for i, h := range halves {
			h.defers, h.tries = true, narrowTries
			var err error
			if got[i], err = w.read(ctx, h, archive.Walk{}); err != nil {
				return a, err
			}
		}
		j := joined(a.question, got)
		if !j.whole() {
			if j.end == endShort && a.end == endShort {
				j.err, j.count, j.seen, j.byWindow = a.err, a.count, a.seen, a.byWindow
			}
			err := w.decideTop(ctx, &j)
			return j, err
		}
		verdict, again, err := w.addsUp(ctx, a, j, halves, got, whole)
		if err != nil {
			return a, err
		}
		if verdict {
			if j, err = w.halveCutOff(ctx, j, halves, got); err != nil || !j.whole() {
				return j, err
			}
			if a.count >= 0 {
				j.count = again
			}
			err := w.decideTop(ctx, &j)
			return j, err
		}
		whole = again
		a.begun = a.begun || j.begun
	}
	a.end, a.byWindow = endShort, nil
	if a.count >= 0 {
		a.count = whole
	}
	if a.err == nil {
		a.err = &archive.ShortError{Saw: a.seen, Count: whole}
	}
	a.smallest = a.asked()
	return a, nil
}

// halveCutOff reads a half in parts that was read as one question, if the source is known
// by now to cut off at as many records.
func (w *walker) halveCutOff(ctx context.Context, j answer, halves [2]question, got [2]answer) (answer, error) {
	again := false
	for i, h := range halves {
		ceiling := w.learned.value(archive.LearnedCeiling)
		if ceiling == 0 || int64(got[i].seen) < ceiling || len(got[i].parts)+len(got[i].leaves) > 0 {
			continue
		}
		h.defers, h.tries, again = true, narrowTries, true
		var err error
		if got[i], err = w.halve(ctx, answer{question: h, end: endMany, count: got[i].count, seen: got[i].seen}); err != nil {
			return j, err
		}
	}
	if !again {
		return j, nil
	}
	j = joined(j.question, got)
	if !j.whole() {
		err := w.decideTop(ctx, &j)
		return j, err
	}
	return j, nil
}

// decideTop decides the windows of an answer, unless they are decided with those of the
// question that they are a part of.
func (w *walker) decideTop(ctx context.Context, a *answer) error {
	if !a.decides() || len(a.parts) == 0 {
		return nil
	}
	return w.decide(ctx, a)
}

// narrow reads the halves of a question that failed. So what fails is found, and the
// rest is read.
func (w *walker) narrow(ctx context.Context, a answer) (answer, error) {
	a.smallest = a.asked()
	if err := w.answers(ctx, a.err); err != nil {
		return a, err
	}
	if !a.begins {
		edge, err := w.edge(ctx, a.question)
		switch {
		case err != nil:
			return a, err
		case edge.IsZero():
		case a.decides():
			return w.afterEdge(ctx, a, edge)
		default:
			return a, nil // see readTooWide
		}
	}
	halves, ok := a.halves()
	if !ok {
		a.stuck = w.may(1) // else its records may not have been asked for one by one
		return a, nil
	}
	if !w.may(1) {
		return a, nil
	}
	if err := w.split(ctx, a, halves); err != nil {
		return a, err
	}
	var got [2]answer
	for i := range halves {
		if w.newestOnly {
			i = 1 - i // the newest hour is read even if the older ones take all calls
		}
		h := halves[i]
		h.page, h.begins, h.tries = true, true, narrowTries
		if h.part && !w.may(1) {
			got[i] = answer{question: h, end: endFailed, err: a.err, smallest: h.asked()}
			continue
		}
		if !w.may(1) {
			h.tries = 1
		}
		var err error
		if got[i], err = w.read(ctx, h, archive.Walk{}); err != nil {
			return a, err
		}
		if got[i].end == endCut {
			if got[i], err = w.readPieces(ctx, got[i]); err != nil {
				return a, err
			}
		}
		if h.decides() {
			if err := w.decide(ctx, &got[i]); err != nil {
				return a, err
			}
		}
	}
	j := joined(a.question, got)
	if j.whole() && !halves[1].from.Before(halves[0].to) {
		// The halves share one second. If the source excludes borders, none of them had it.
		a.stuck = w.may(1)
		return a, nil
	}
	single := len(got[0].parts)+len(got[1].parts)+len(got[0].leaves)+len(got[1].leaves) == 0
	// Both halves were answered, each as one question: why was the whole not?
	switch {
	case !j.whole() || !single:
	case w.offsets != nil && w.traits.Page <= a.seen && a.seen < j.seen:
		return j, w.findLast(ctx, a)
	case halves[0].width() > time.Minute:
		return j, w.findWidest(ctx, a.question, max(halves[0].width(), halves[1].width()))
	}
	return j, nil
}

// readPieces reads the pieces of a question one by one.
func (w *walker) readPieces(ctx context.Context, a answer) (answer, error) {
	all := answer{question: a.question, end: endWhole, decided: true}
	for _, s := range a.cut {
		q := a.question
		q.from, q.to, q.span = s.From.Add(-archive.QueryMargin), s.To.Add(archive.QueryMargin), s
		got, err := w.read(ctx, q, archive.Walk{})
		if err != nil {
			return a, err
		}
		if got.end == endCut {
			if got, err = w.readPieces(ctx, got); err != nil {
				return a, err
			}
		}
		if err := w.decide(ctx, &got); err != nil {
			return a, err
		}
		all.parts = append(all.parts, got)
	}
	return all, nil
}

// answers finds out whether the function answers at all: it asks the smallest question,
// then the newest due hour. If neither is answered, the function has failed, or the
// source, if it does not answer the cheapest call either.
func (w *walker) answers(ctx context.Context, failed error) error {
	if w.alive {
		return nil
	}
	end := w.newestDue().Add(archive.Hour)
	for _, q := range []archive.Query{
		{From: end.Add(-smallest), To: end, Limit: 1},
		{From: end.Add(-archive.Hour), To: end},
	} {
		err := w.probe(ctx, q)
		var page *pageError
		if err == nil {
			w.alive = true
			return nil
		}
		if !errors.As(err, &page) {
			return err
		}
	}
	if err := w.Source.Ping(ctx); err != nil && !errors.Is(err, archive.ErrDenied) {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return &errSource{&archive.SourceError{Err: err}}
	}
	return &errFunction{failed}
}

// newestDue returns the newest hour that is due.
func (w *walker) newestDue() time.Time { return latest(w.newest, w.order.Range.To.Add(-archive.Hour)) }
