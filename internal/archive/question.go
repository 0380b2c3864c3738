package archive

import (
	"slices"
	"time"
)

// A Question is what somebody asks of one function's invocations: of its source,
// or of the archive. Both answer it alike.
type Question struct {
	// From and To bound the start, [From, To); zero for no such bound. A record
	// without a start is one of those that are listed for the time between.
	From, To  time.Time
	Statuses  []string // any of these, ours or the source's own words; none for all
	RequestID string   // only this one, if set
}

// Query asks a source for all that may match: whole seconds, and one more on
// either side, since whether the borders belong to it is not known. The
// question is bounded on both sides.
func (q *Question) Query(f Function) Query {
	to := q.To.Truncate(time.Second)
	if to.Before(q.To) {
		to = to.Add(time.Second)
	}
	asked := Query{Function: f, From: q.From.Truncate(time.Second).Add(-QueryMargin), To: to.Add(QueryMargin), RequestID: q.RequestID}
	if len(q.Statuses) == 1 {
		asked.Status = q.Statuses[0]
	}
	return asked
}

// Matches reports whether a record that came back for the question is one that
// was asked for.
func (q *Question) Matches(inv *Invocation) bool {
	switch {
	case q.RequestID != "" && inv.RequestID != q.RequestID:
		return false
	case len(q.Statuses) > 0 && !slices.Contains(q.Statuses, inv.Status) && !slices.Contains(q.Statuses, inv.SourceStatus):
		return false
	case inv.Start.IsZero():
		return true
	}
	return (q.From.IsZero() || !inv.Start.Before(q.From)) && (q.To.IsZero() || inv.Start.Before(q.To))
}
