package archive

import "time"

// Hour is the length of a window.
const Hour = time.Hour

// A Span is the adjacent UTC hours in [From, To), whose windows are asked for in one
// query.
type Span struct{ From, To time.Time }

// Windows returns the number of hours in the span.
func (s Span) Windows() int { return int(s.To.Sub(s.From) / Hour) }

// Holds reports whether t lies in [From, To).
func (s Span) Holds(t time.Time) bool { return !t.Before(s.From) && t.Before(s.To) }

// Overlaps reports whether the two spans share an instant.
func (s Span) Overlaps(o Span) bool { return s.From.Before(o.To) && o.From.Before(s.To) }

func (s Span) String() string {
	return s.From.UTC().Format("2006-01-02T15:04Z") + "/" + s.To.UTC().Format("2006-01-02T15:04Z")
}

// WindowOf returns the start of the window in which t lies.
func WindowOf(t time.Time) time.Time { return t.UTC().Truncate(Hour) }

// PlausibleWithin is how far from the span that was asked for the times of a record can
// lie. A time further away is an error of the source, for example a start in 1970. Such a
// record belongs to the span, and not to a day of its own, which retention would drop.
const PlausibleWithin = 366 * 24 * Hour

// IsPlausible reports whether a record that was found by a query for the span can have
// this time.
func (s Span) IsPlausible(t time.Time) bool {
	return t.After(s.From.Add(-PlausibleWithin)) && t.Before(s.To.Add(PlausibleWithin))
}

// WindowOf returns the window into which a record counts that was found by a query for
// the span: the window of its start, or the span's last window if it has no start, or no
// plausible one. A record waits at most a day for its start.
func (s Span) WindowOf(start time.Time) time.Time {
	if start.IsZero() || !s.IsPlausible(start) {
		return s.To.Add(-Hour)
	}
	return WindowOf(start)
}

// DueBefore returns the end of the last window that is due: a window is due once it
// ended at least settle ago.
func DueBefore(now time.Time, settle time.Duration) time.Time {
	return WindowOf(now.Add(-settle))
}

// MaxSpan bounds one query. A month of a quiet function costs one call. The count on
// the first page tells that a function is busy, and package loop then cuts the span.
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

// QueryMargin is how much longer than its span a query is on each side. All records
// that the source gives are kept. So no record of the span's first or last second is
// lost if the source excludes the borders of a query.
const QueryMargin = time.Second
