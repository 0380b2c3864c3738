package archive

import "time"

// Hour is the length of a window.
const Hour = time.Hour

// A Span is a run of whole UTC hours, [From, To): windows next to one another
// that are asked for in one query.
type Span struct{ From, To time.Time }

// Windows is the number of hours in the span.
func (s Span) Windows() int { return int(s.To.Sub(s.From) / Hour) }

// Holds reports whether t lies in [From, To).
func (s Span) Holds(t time.Time) bool { return !t.Before(s.From) && t.Before(s.To) }

// Overlaps reports whether the two spans share an instant.
func (s Span) Overlaps(o Span) bool { return s.From.Before(o.To) && o.From.Before(s.To) }

func (s Span) String() string {
	return s.From.UTC().Format("2006-01-02T15:04Z") + "/" + s.To.UTC().Format("2006-01-02T15:04Z")
}

// WindowOf is the start of the window in which t lies.
func WindowOf(t time.Time) time.Time { return t.UTC().Truncate(Hour) }

// WindowOf is the window into which a record found by asking for the span
// counts: that of its start, or the span's last where it has none. What waits
// for its start has done so for a day at most.
func (s Span) WindowOf(start time.Time) time.Time {
	if start.IsZero() {
		return s.To.Add(-Hour)
	}
	return WindowOf(start)
}

// DueBefore is the end of the last window that has settled at now: a window is
// due once it ended at least settle ago, and not before.
func DueBefore(now time.Time, settle time.Duration) time.Time {
	return WindowOf(now.Add(-settle))
}

// MaxSpan bounds one query. A month of a quiet function costs one call; a busy
// one says so with its first page's count, and its span is cut (see walk.go).
const MaxSpan = 31 * 24 * Hour

// Spans joins windows, sorted by time, into spans of at most MaxSpan.
func Spans(windows []time.Time) []Span {
	var spans []Span
	for _, w := range windows {
		if n := len(spans); n > 0 && spans[n-1].To.Equal(w) && w.Sub(spans[n-1].From) < MaxSpan {
			spans[n-1].To = w.Add(Hour)
			continue
		}
		spans = append(spans, Span{From: w, To: w.Add(Hour)})
	}
	return spans
}

// Cut divides the span into at most n pieces of whole hours, oldest first.
func (s Span) Cut(n int) []Span {
	n = max(1, min(n, s.Windows()))
	step := time.Duration((s.Windows()+n-1)/n) * Hour
	var pieces []Span
	for from := s.From; from.Before(s.To); from = from.Add(step) {
		to := from.Add(step)
		if to.After(s.To) {
			to = s.To
		}
		pieces = append(pieces, Span{From: from, To: to})
	}
	return pieces
}

// QueryMargin is how much more than a span is asked for on either side. All records
// that come are kept: if the source excludes a border, no record of
// the span's first or last second is lost.
const QueryMargin = time.Second
