package loop

import (
	"context"
	"errors"
	"time"

	"archiver/internal/archive"
)

// edge finds out whether the source refuses a question because it begins too long ago.
// It returns the first second at which a question may begin, or zero if the begin is not
// the cause. It makes two calls, and for an edge at most 22 more.
func (w *walker) edge(ctx context.Context, q question) (time.Time, error) {
	if w.Clock.Now().Sub(q.from) <= believedAge || q.width() <= smallest {
		return time.Time{}, nil
	}
	refused, answered := q.from, q.to.Add(-smallest)
	for _, second := range []time.Time{refused, answered} {
		ok, err := w.begins(ctx, second)
		if err != nil || ok == second.Equal(refused) {
			return time.Time{}, err
		}
	}
	for answered.Sub(refused) > time.Second {
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

// begins reports whether the source answers the question for one second.
func (w *walker) begins(ctx context.Context, second time.Time) (bool, error) {
	if !w.spend(1) {
		return true, nil
	}
	_, err := w.peek(ctx, archive.Query{From: second, To: second.Add(smallest), Limit: 1, Tries: narrowTries})
	var failed *pageError
	if errors.As(err, &failed) {
		return false, nil
	}
	return err == nil, err
}

// afterEdge reads what is left of a question: the windows that begin at the edge or
// before are expired, and what the source still has of them is kept.
func (w *walker) afterEdge(ctx context.Context, a answer, edge time.Time) (answer, error) {
	before := a.span
	before.To = archive.WindowOf(edge.Add(archive.QueryMargin - time.Second)).Add(archive.Hour)
	if before.To.After(a.span.To) {
		before.To = a.span.To
	}
	rest := archive.Span{From: before.To, To: a.span.To}
	if a.begun && rest.Windows() > 0 {
		if err := w.split(ctx, a, [2]question{questionOf(before), questionOf(rest)}); err != nil {
			return a, err
		}
	}
	var parts []answer
	if rest.Windows() > 0 {
		q := questionOf(rest)
		q.begins = true
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
		parts = append(parts, got)
	}
	// The window of the edge: what it still has is kept, the window is expired.
	q := questionOf(archive.Span{From: before.To.Add(-archive.Hour), To: before.To})
	q.from, q.part, q.begins, q.page = edge, true, true, true
	if q.to.After(q.from) {
		if _, err := w.read(ctx, q, archive.Walk{}); err != nil {
			return a, err
		}
	}
	if err := w.expire(ctx, before); err != nil {
		return a, err
	}
	return answer{question: a.question, end: endWhole, decided: true, parts: append(parts, answer{question: questionOf(before), end: endWhole, decided: true})}, nil
}

// expire notes that the source has forgotten the windows of a span.
func (w *walker) expire(ctx context.Context, s archive.Span) error {
	if err := w.keeper.flush(); err != nil {
		return err
	}
	o := archive.Outcome{State: archive.StateExpired, Expired: make(map[time.Time]archive.Expired)}
	kept := max(believedAge, w.learned.seconds(archive.LearnedEdge))
	now := w.Clock.Now()
	for hour := s.From; hour.Before(s.To); hour = hour.Add(archive.Hour) {
		age := now.Sub(hour.Add(archive.Hour))
		o.Expired[hour] = archive.Expired{
			Missed: age-now.Sub(w.function.FirstSeen) < kept-archive.Hour,
			Bare:   hour.Add(archive.Hour).Before(w.order.ForgottenBefore),
		}
	}
	return w.keeper.commit(ctx, archive.Batch{Walk: archive.Walk{Span: s}, Outcome: &o, At: now})
}
