package loop

import (
	"context"
	"errors"
	"slices"
	"time"

	"archiver/internal/archive"
)

// edge finds out whether the source refuses a question because it begins too long ago.
// It returns the first second at which a question may begin, or zero if the begin is not
// the cause. It makes two calls, and for an edge at most 23 more.
func (w *walker) edge(ctx context.Context, q question) (time.Time, error) {
	if w.Clock.Now().Sub(q.from) <= believedAge {
		return time.Time{}, nil
	}
	// What is older than an edge is refused as well.
	for _, second := range []time.Time{q.from, q.from.Add(-24 * time.Hour)} {
		if ok, err := w.begins(ctx, second); ok || err != nil {
			return time.Time{}, err
		}
	}
	refused, answered := q.from, q.to.Add(-smallest)
	ok, err := w.begins(ctx, answered)
	if err == nil && !ok {
		refused, answered = answered, w.newestDue().Add(archive.Hour-smallest)
		ok, err = w.begins(ctx, answered)
	}
	if !ok || err != nil {
		return time.Time{}, err
	}
	for answered.Sub(refused) > time.Second {
		if !w.may(1) {
			return time.Time{}, nil
		}
		middle := refused.Add(answered.Sub(refused) / 2).Truncate(time.Second)
		ok, err := w.begins(ctx, middle)
		if err != nil {
			return time.Time{}, err
		}
		if ok {
			answered = middle
		} else {
			refused = middle
		}
	}
	if answered.Sub(q.from) <= 2*smallest {
		return time.Time{}, nil // only the first second is refused
	}
	w.learned.set(archive.LearnedEdge, int64(w.Clock.Now().Sub(answered)/time.Second), w.Clock.Now())
	return answered, nil
}

// learnedEdge returns the oldest second at which the source is known to let a question
// begin, or zero if it is not known.
func (r *run) learnedEdge() time.Time {
	edge := r.learned.seconds(archive.LearnedEdge)
	if edge == 0 {
		return time.Time{}
	}
	return r.Clock.Now().Add(-edge).Truncate(time.Second).Add(time.Second)
}

// beginsBefore reports whether a question may be asked although it begins before an edge
// that another function has taught: the source answers its first second.
func (w *walker) beginsBefore(ctx context.Context, q question, edge time.Time) (bool, error) {
	if !q.from.Before(edge) {
		return true, nil
	}
	return w.begins(ctx, q.from)
}

// beforeEdge reports whether a window begins before the oldest second at which the source is
// known to let a question begin.
func (w *walker) beforeEdge(s archive.Span) bool {
	return s.From.Before(w.learnedEdge()) && s.Windows() == 1
}

// begins reports whether the source answers the question for one second. If no more
// calls may be made, it supposes so.
func (w *walker) begins(ctx context.Context, second time.Time) (bool, error) {
	if !w.may(1) {
		return true, nil
	}
	err := w.probe(ctx, archive.Query{From: second, To: second.Add(smallest), Limit: 1})
	var failed *pageError
	if errors.As(err, &failed) {
		return false, nil
	}
	return err == nil, err
}

// afterEdge reads what is left of a question: the windows that begin at the edge or
// before are expired, and what the source still has of the last of them is kept.
func (w *walker) afterEdge(ctx context.Context, a answer, edge time.Time) (answer, error) {
	last := archive.Span{From: archive.WindowOf(edge)}
	last.To = last.From.Add(archive.Hour)
	rest := archive.Span{From: last.To, To: a.span.To}
	if !last.To.Before(a.span.To) {
		rest.From = a.span.To
		last = archive.Span{From: a.span.To.Add(-archive.Hour), To: a.span.To}
	}
	forgotten := archive.Span{From: a.span.From, To: last.From}
	all := answer{question: a.question, end: endWhole, decided: true}
	pieces := slices.DeleteFunc([]archive.Span{forgotten, last, rest}, func(s archive.Span) bool { return s.Windows() <= 0 })
	if err := w.replace(ctx, answer{question: a.question, begun: a.begun, cut: pieces}); err != nil {
		return a, err
	}
	if rest.Windows() > 0 {
		q := questionOf(rest)
		q.begins = true
		got, err := w.read(ctx, q, archive.Walk{})
		if err == nil && got.end == endCut {
			got, err = w.readPieces(ctx, got)
		}
		if err != nil {
			return a, err
		}
		if err := w.decide(ctx, &got); err != nil {
			return a, err
		}
		all.parts = append(all.parts, got)
	}
	q := questionOf(last)
	q.from, q.part, q.tries = edge, true, narrowTries
	if q.to.After(q.from) {
		if _, err := w.walk(ctx, q, archive.Walk{}); err != nil {
			return a, err
		}
	}
	for _, s := range []archive.Span{forgotten, last} {
		if s.Windows() <= 0 {
			continue
		}
		if err := w.expire(ctx, s); err != nil {
			return a, err
		}
		all.parts = append(all.parts, answer{question: questionOf(s), end: endWhole, decided: true})
	}
	return all, nil
}

// expire notes that the source has forgotten the windows of a span. Those that were
// complete before stay so, and do not count in this run.
func (w *walker) expire(ctx context.Context, s archive.Span) error {
	if err := w.keeper.flush(); err != nil {
		return err
	}
	o := archive.Outcome{State: archive.StateExpired, Expired: make(map[time.Time]archive.Expired)}
	kept, now := w.SourceRetention, w.Clock.Now()
	if edge := w.learned.seconds(archive.LearnedEdge); edge > 0 {
		kept = max(believedAge, edge) - archive.Hour
	}
	complete, missed := 0, 0
	for hour := s.From; hour.Before(s.To); hour = hour.Add(archive.Hour) {
		age := now.Sub(hour.Add(archive.Hour))
		e := archive.Expired{
			Missed: age-now.Sub(w.function.FirstSeen) < kept,
			Bare:   hour.Add(archive.Hour).Before(w.order.ForgottenBefore),
		}
		o.Expired[hour] = e
		if w.again.Holds(hour) {
			complete++
			if e.Missed {
				missed++
			}
		}
	}
	if err := w.keeper.commit(ctx, archive.Batch{Walk: archive.Walk{Span: s}, Outcome: &o, At: now}); err != nil {
		return err
	}
	w.progress.Update(func(p *archive.Totals) {
		p.Windows -= int64(complete)
		p.Missed -= int64(missed)
		p.Decided(archive.StateExpired, -complete)
	})
	return nil
}
