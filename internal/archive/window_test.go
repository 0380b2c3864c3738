package archive

import (
	"slices"
	"testing"
	"time"
)

var midnight = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)

func hour(n int) time.Time { return midnight.Add(time.Duration(n) * Hour) }

func span(from, to int) Span { return Span{From: hour(from), To: hour(to)} }

func TestDueBefore(t *testing.T) {
	t.Parallel()
	const settle = 10 * time.Minute
	for _, tc := range []struct {
		name   string
		now    time.Time
		settle time.Duration
		want   time.Time
	}{
		{"a nanosecond before the window has settled", hour(5).Add(settle - 1), settle, hour(4)},
		{"the very instant", hour(5).Add(settle), settle, hour(5)},
		{"a nanosecond later", hour(5).Add(settle + 1), settle, hour(5)},
		{"just before the next", hour(6).Add(settle - 1), settle, hour(5)},
		{"no settling, at the end", hour(5), 0, hour(5)},
		{"no settling, a nanosecond before the end", hour(5).Add(-1), 0, hour(4)},
		{"settling for exactly an hour", hour(5), Hour, hour(4)},
		{"settling for more than an hour", hour(5).Add(30 * time.Minute), 90 * time.Minute, hour(4)},
		{"over midnight", midnight.Add(settle - 1), settle, hour(-1)},
		{"a zone of half an hour", hour(5).Add(settle).In(time.FixedZone("", 5*3600+1800)), settle, hour(5)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := DueBefore(tc.now, tc.settle); !got.Equal(tc.want) || got.Location() != time.UTC {
				t.Errorf("DueBefore(%v, %v) = %v, want %v", tc.now, tc.settle, got, tc.want)
			}
		})
	}
}

func TestWindowOf(t *testing.T) {
	t.Parallel()
	kathmandu := time.FixedZone("", 5*3600+45*60)
	for _, tc := range []struct{ at, want time.Time }{
		{hour(3), hour(3)},
		{hour(3).Add(-1), hour(2)},
		{hour(4).Add(-1), hour(3)},
		{hour(3).Add(20 * time.Minute).In(kathmandu), hour(3)},
		{time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC)},
	} {
		if got := WindowOf(tc.at); !got.Equal(tc.want) {
			t.Errorf("WindowOf(%v) = %v, want %v", tc.at, got, tc.want)
		}
	}
	s := span(3, 6)
	if got := s.WindowOf(time.Time{}); !got.Equal(hour(5)) {
		t.Errorf("a record without a start counts into %v, not into the span's last window", got)
	}
	if got := s.WindowOf(hour(9).Add(1)); !got.Equal(hour(9)) {
		t.Errorf("a record of another hour counts into %v, not into its own", got)
	}
	for at, plausible := range map[time.Time]bool{
		hour(3).AddDate(-1, 0, 0): true, hour(6).AddDate(1, 0, 0): true, hour(3).AddDate(-1, 0, -2): false,
		hour(6).AddDate(1, 0, 2): false, time.Unix(0, 0): false, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC): false,
	} {
		if s.IsPlausible(at) != plausible || s.WindowOf(at).Equal(hour(5)) == plausible {
			t.Errorf("%v is plausible: %t, and counts into %v", at, s.IsPlausible(at), s.WindowOf(at))
		}
	}
}

func TestSpanBorders(t *testing.T) {
	t.Parallel()
	s := span(3, 6)
	if s.Windows() != 3 || span(3, 3).Windows() != 0 {
		t.Errorf("%s has %d windows, an empty one %d", s, s.Windows(), span(3, 3).Windows())
	}
	for at, want := range map[time.Time]bool{
		hour(3): true, hour(3).Add(-1): false, hour(6).Add(-1): true, hour(6): false,
	} {
		if s.Holds(at) != want {
			t.Errorf("%s holds %v: %v", s, at, !want)
		}
	}
	for o, want := range map[Span]bool{
		span(2, 3): false, span(2, 4): true, span(4, 5): true, span(5, 9): true, span(6, 7): false, span(0, 9): true,
	} {
		if s.Overlaps(o) != want || o.Overlaps(s) != want {
			t.Errorf("%s overlaps %s: %v", s, o, !want)
		}
	}
	if got := s.String(); got != "2026-03-14T03:00Z/2026-03-14T06:00Z" {
		t.Errorf("a span is written as %s", got)
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	hours := func(from, to int) (list []time.Time) {
		for n := from; n < to; n++ {
			list = append(list, hour(n))
		}
		return list
	}
	for _, tc := range []struct {
		name    string
		windows []time.Time
		want    []Span
	}{
		{"none", nil, nil},
		{"one", hours(3, 4), []Span{span(3, 4)}},
		{"neighbours", hours(3, 6), []Span{span(3, 6)}},
		{"a gap", append(hours(3, 5), hours(6, 8)...), []Span{span(3, 5), span(6, 8)}},
		{"no two next to one another", []time.Time{hour(1), hour(3), hour(5)}, []Span{span(1, 2), span(3, 4), span(5, 6)}},
		{"over midnight", hours(-1, 1), []Span{span(-1, 1)}},
		{"the longest", hours(0, 744), []Span{span(0, 744)}},
		{"an hour too long", hours(0, 745), []Span{span(0, 744), span(744, 745)}},
		{"three months", hours(0, 3*744), []Span{span(0, 744), span(744, 1488), span(1488, 2232)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Spans(tc.windows); !slices.Equal(got, tc.want) {
				t.Errorf("spans are %v, want %v", got, tc.want)
			}
		})
	}
}

// For every number of pieces, they are whole hours, no hour is in two of
// them or in none, and a span of several hours becomes at least two: a cut
// that leaves a span whole would be made for ever.
func TestCut(t *testing.T) {
	t.Parallel()
	for windows := 1; windows <= 50; windows++ {
		s := span(0, windows)
		for n := -1; n <= windows+2; n++ {
			pieces := s.Cut(n)
			if len(pieces) > max(1, n) {
				t.Fatalf("%d windows, %d pieces asked for: %d", windows, n, len(pieces))
			}
			if windows > 1 && n > 1 && len(pieces) < 2 {
				t.Fatalf("%d windows, %d pieces asked for: not cut at all", windows, n)
			}
			at := s.From
			for _, p := range pieces {
				if !p.From.Equal(at) || p.Windows() < 1 || !WindowOf(p.To).Equal(p.To) {
					t.Fatalf("%d windows, %d pieces asked for: %v", windows, n, pieces)
				}
				at = p.To
			}
			if !at.Equal(s.To) {
				t.Fatalf("%d windows, %d pieces asked for: ends at %v", windows, n, at)
			}
		}
	}
	if got, want := span(0, 5).Cut(2), []Span{span(0, 3), span(3, 5)}; !slices.Equal(got, want) {
		t.Errorf("five hours in two pieces are %v, want %v", got, want)
	}
	if got := span(0, 24).Cut(24); len(got) != 24 {
		t.Errorf("a day in its hours has %d pieces", len(got))
	}
}
