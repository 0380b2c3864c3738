package archive

import (
	"slices"
	"time"
)

// A Question selects invocations of one function. The source and the archive give the
// same answer to it.
type Question struct {
	// From and To bound the start, [From, To); zero for no such bound. A record
	// without a start matches if the source lists it for this range.
	From, To  time.Time
	Statuses  []string // any of these, ours or the source's own words; none for all
	RequestID string   // only this one, if set
}

// Query returns the query that asks a source for all records that may match. Its range
// has whole seconds, and is QueryMargin longer on each side: a source may exclude the
// borders. From and To must be set.
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

// Matches reports whether a record that the source gave for Query matches the question.
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
