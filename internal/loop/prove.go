package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"archiver/internal/archive"
)

// rounds is how often a sum that does not add up is asked for: records arrive, and
// counts jitter.
const rounds = 3

// newestPages is how many pages a span may have that is read together with its newest
// window. If there are more, the newest window is read first, and the others after the
// newest windows of all functions.
const newestPages = 10

// accepts reports whether a count needs no proof: it is less than one full page, or less
// than a count that this source has proven.
func (w *walker) accepts(count int) bool {
	return count < max(w.traits.Page, 2) || int64(count) < w.learned.value(archive.LearnedProven)
}

// accepted reports whether the number of records that a walk saw is to be believed.
//
// A function may have a ceiling of its own. So if it gives the same count, of a page or
// more, for a second span, that count is proven for both spans.
func (w *walker) accepted(q question, t, before *tally) bool {
	n, now := t.count, w.Clock.Now()
	if n < 0 {
		n = t.distinct()
		t.proved = t.proved || before != nil && t.oppositeEnds(before)
	}
	switch {
	case t.proved:
		w.learned.proved(n, now)
		return true
	case n < max(w.traits.Page, 2):
		return true
	case !w.accepts(n):
		return false
	}
	if !q.decides() {
		// It serves to prove another count, or to read a part: no earlier span is doubted.
		return !w.learned.gavePart(w.function.ID, n, q.asked())
	}
	earlier, again := w.learned.gave(w.function.ID, n, q.asked(), now)
	if !again || earlier.Proven {
		return true
	}
	w.doubted = append(w.doubted, earlier)
	return false
}

// judge decides how a walk ends that reached the last page.
func (w *walker) judge(q question, t, before *tally, final bool) answer {
	a := answer{question: q, seen: t.distinct(), records: t.seen, count: t.count, byWindow: t.counts(), present: t.present(), first: t.began}
	v := t.verdict()
	switch {
	case t.mostlyUnusable():
		a.end, a.err = endUnusable, errUnusable
	case v != drifted && len(t.holes) > 0:
		return w.withHoles(a, t)
	case v != drifted && !t.proved && w.cutOff(t):
		a.end = endMany
	case v == whole, v == uncounted && t.agrees(before):
		if v == uncounted {
			a.count = -1 // it is not the number of distinct records
		}
		if a.end = endUnproven; w.accepted(q, t, before) {
			a.end, a.proved = endWhole, t.proved
		}
	case !final:
		a.end = endAgain
	default:
		a.end, a.err = endShort, &archive.ShortError{Saw: a.seen, Count: a.count, Moved: t.moved}
	}
	return a
}

var errUnusable = errors.New("more than half of the records could not be read, they are in rejected_records")

// tooMany reports whether the question has more records than one walk may read, or than
// the source gives to one question. The source's count on the first page decides. If
// there is no count, the span is cut into its hours once the walk has seen too many.
func (w *walker) tooMany(q question, t *tally) (a answer) {
	if t.resumed > 0 || t.proved {
		return a
	}
	windows, over := q.windows(), t.pages == 1 && w.cutOff(t)
	a = answer{question: q, seen: t.distinct(), count: t.count}
	switch {
	case over && windows > 1 && q.decides():
		ceiling := int(w.learned.value(archive.LearnedCeiling))
		a.cut = q.span.Cut((2*max(t.count, t.distinct()) + ceiling - 1) / ceiling)
	case over:
		a.end = endMany
	case windows <= 1 || !q.decides():
	case w.newestOnly && q.span.Holds(w.newest) && (t.pages == 1 && t.count > newestPages*w.traits.Page || t.count < 0 && t.pages == newestPages):
		a.cut = []archive.Span{{From: q.span.From, To: w.newest}, {From: w.newest, To: q.span.To}}
	case t.pages == 1 && t.count > cutAbove:
		a.cut = q.span.Cut((t.count + cutTo - 1) / cutTo)
	case t.count < 0 && t.distinct() > cutAbove:
		a.cut = q.span.Cut(windows)
	}
	if a.cut != nil {
		a.end = endCut
	}
	return a
}

// cutOff reports whether a walk has as many records as the source gives to one question.
func (w *walker) cutOff(t *tally) bool {
	ceiling := w.learned.value(archive.LearnedCeiling)
	return ceiling > 0 && int64(max(t.count, t.distinct())) >= ceiling
}

// prove asks for the counts of a question's halves, and reports whether they add up to
// its own count. A half has to be accepted itself, and has at most nine tenths of the
// whole: all records may lie in one half, and a ceiling and nothing add up to the
// ceiling. If the halves have more than the whole, the source cuts its counts off there.
func (w *walker) prove(ctx context.Context, q question, whole int) (ok bool, sum int, err error) {
	halves, can := q.halves()
	for range rounds {
		if !can || whole < 0 || !w.spend(3) {
			return false, sum, nil
		}
		counts, most, err := w.counts(ctx, halves, whole)
		if err != nil || counts[0] < 0 || counts[1] < 0 {
			return false, 0, err
		}
		sum = counts[0] + counts[1]
		if whole <= sum && sum <= whole+most {
			for i, n := range counts {
				if w.accepts(n) && 10*n <= 9*whole {
					continue
				}
				if ok, of, err := w.prove(ctx, halves[i], n); !ok || err != nil {
					return false, sum - n + max(n, of), err
				}
			}
			w.learned.proved(whole, w.Clock.Now())
			w.learned.believe(w.function.ID, whole, q.asked(), w.Clock.Now())
			return true, sum, nil
		}
		again, err := w.count(ctx, q.from, q.to, whole)
		if err != nil {
			return false, sum, err
		}
		unchanged, _, err := w.counts(ctx, halves, again)
		if err != nil {
			return false, sum, err
		}
		if again == whole && unchanged == counts && sum > whole+most {
			w.cutsOff(whole)
			return false, sum, nil
		}
		if again != whole {
			return false, sum, nil // records came or went: what the walk saw is not the whole any more
		}
	}
	return false, sum, nil
}

// addsUp reports whether the records of two halves, which j has, are those of the whole.
// again is the source's count of the whole now.
func (w *walker) addsUp(ctx context.Context, a, j answer, halves [2]question, got [2]answer, whole int) (ok bool, again int, err error) {
	switch {
	case j.seen > whole && a.end == endMany:
		return true, whole, nil // the count of the whole is known to be cut off
	case j.seen == whole:
		if 10*max(got[0].seen, got[1].seen) <= 9*whole {
			w.learned.proved(whole, w.Clock.Now())
		}
		// A list that ends before its count is reached is cut off there.
		if a.end == endShort && a.seen < whole {
			w.cutsOff(a.seen)
		}
		return true, whole, nil
	}
	if again, err = w.countAgain(ctx, a.question, a.count, whole); err != nil {
		return false, whole, err
	}
	if j.seen > whole && again == whole {
		for i, h := range halves {
			if n, err := w.countAgain(ctx, h, got[i].count, got[i].count); err != nil || n != got[i].count {
				return false, again, err
			}
		}
		w.cutsOff(whole)
		return true, again, nil
	}
	return again == j.seen, again, nil
}

// cutsOff notes that the source cuts off at a count of at least one page.
func (w *walker) cutsOff(at int) {
	if at >= w.traits.Page {
		w.learned.cutsOff(at, w.Clock.Now())
		w.doubted = append(w.doubted, w.learned.unproven(w.function.ID, at)...)
	}
}

// countAgain returns the source's count of a question, of which its walk had a count. It
// returns otherwise if the walk had none, or if the source gives none now or fails.
func (w *walker) countAgain(ctx context.Context, q question, count, otherwise int) (int, error) {
	if count < 0 {
		return otherwise, nil
	}
	n, err := w.count(ctx, q.from, q.to, otherwise)
	var failed *pageError
	if errors.As(err, &failed) || err == nil && n < 0 {
		return otherwise, nil
	}
	return n, err
}

var errUnproven = errors.New("the source's count is not proven within the calls of this run")

// total returns the number of records of a question: the source's count if that is
// accepted, else the sum of its halves, less the records that both halves ask for.
func (w *walker) total(ctx context.Context, q question, count int) (int, error) {
	halves, ok := q.halves()
	if count < 0 || !ok || w.accepts(count) {
		return count, nil
	}
	if !w.spend(3) {
		return 0, w.pageError(ctx, errUnproven)
	}
	counts, most, err := w.counts(ctx, halves, count)
	for i := 0; i < len(halves) && err == nil; i++ {
		counts[i], err = w.total(ctx, halves[i], counts[i])
	}
	if err != nil {
		return 0, err
	}
	sum := counts[0] + counts[1] - most
	if sum == count && 10*max(counts[0], counts[1]) <= 9*count {
		w.learned.proved(count, w.Clock.Now())
	}
	return max(sum, count), nil
}

// proveDoubted proves the counts of spans that are complete, for which the function gave
// the same count as for another span. If a count is too small, the span is read in
// halves. If that fails, its windows are not complete any more.
func (w *walker) proveDoubted(ctx context.Context) error {
	for len(w.doubted) > 0 {
		d := w.doubted[0]
		w.doubted = w.doubted[1:]
		q := question{from: d.Span.From, to: d.Span.To, span: archive.Span{
			From: archive.WindowOf(d.Span.From.Add(archive.QueryMargin)),
			To:   archive.WindowOf(d.Span.To.Add(archive.Hour - 2*archive.QueryMargin)),
		}}
		// Records may have come or gone since the function gave the count.
		n, err := w.count(ctx, q.from, q.to, int(d.Value))
		ok := false
		if err == nil {
			ok, _, err = w.prove(ctx, q, n)
		}
		if err != nil {
			return w.leaveToNextRun(ctx, w, q.span, err)
		}
		if ok {
			continue
		}
		q.defers = true
		a, err := w.halve(ctx, answer{question: q, end: endMany, count: n, seen: max(n, 0)})
		if err != nil {
			return w.leaveToNextRun(ctx, w, q.span, err)
		}
		if a.whole() {
			if err := w.recount(ctx, w, q.span); err != nil {
				return err
			}
			continue
		}
		short := &archive.ShortError{Saw: a.seen, Count: a.count}
		w.notComplete(w.function.Function, q.span, short)
		w.progress.Update(func(p *archive.Totals) {
			p.Windows += int64(q.span.Windows())
			p.Decided(archive.StateShort, q.span.Windows())
		})
		for hour := q.span.From; hour.Before(q.span.To); hour = hour.Add(archive.Hour) {
			if err := w.claim.Differs(ctx, hour, short); err != nil {
				return fmt.Errorf("note that %s %s differs: %w", w.function.Name, q.span, err)
			}
		}
	}
	return nil
}

// counts asks for the counts of two halves. most is by how much their sum may exceed
// the count of the whole: by the records of the seconds that both ask for.
func (w *walker) counts(ctx context.Context, halves [2]question, whole int) (counts [2]int, most int, err error) {
	for i, h := range halves {
		if counts[i], err = w.count(ctx, h.from, h.to, -1); err != nil {
			return counts, 0, err
		}
	}
	if counts[0]+counts[1] > whole {
		most, err = w.atBorder(ctx, halves)
	}
	return counts, most, err
}

// atBorder returns the number of records in the seconds that both halves ask for.
func (w *walker) atBorder(ctx context.Context, halves [2]question) (int, error) {
	b := border(halves)
	page, err := w.peek(ctx, archive.Query{From: b.from, To: b.to, Tries: b.tries})
	if err == nil && page.Last {
		return page.Len(), nil
	}
	return max(page.Count, page.Len()), err
}

// count returns the source's count of a query, or -1 if the source gives none, or counts
// only the page's own records. It makes one call for a page of one record, and where that
// is all that is counted and not expected, another one for a page of two.
func (w *walker) count(ctx context.Context, from, to time.Time, expected int) (int, error) {
	limit := 1
	if expected == limit {
		limit = 2
	}
	page, err := w.peek(ctx, archive.Query{From: from, To: to, Limit: limit})
	if err == nil && limit == 1 && page.Count == 1 && page.Len() == 1 {
		var failed *pageError
		page, err = w.peek(ctx, archive.Query{From: from, To: to, Limit: 2})
		if errors.As(err, &failed) || err == nil && page.Count == 2 {
			return -1, nil // a page of two may be too large for the source
		}
	}
	return page.Count, err
}

// peek makes one call for a page that is not kept.
func (w *walker) peek(ctx context.Context, q archive.Query) (archive.Page, error) {
	q.Function = w.function.Function
	for page, err := range w.Source.Pages(ctx, q) {
		if err != nil {
			return archive.Page{}, w.callError(ctx, q, err)
		}
		w.accepting.Store(true)
		page.Release() // only its numbers are of use
		return page, nil
	}
	return archive.Page{}, w.pageError(ctx, errors.New("the source gave no page"))
}
