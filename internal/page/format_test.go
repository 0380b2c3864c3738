package page

import (
	"strings"
	"testing"
	"time"

	"archiver/internal/words"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ got, want string }{
		{words.Number(0), "0"}, {words.Number(999), "999"}, {words.Number(1000), "1,000"}, {words.Number(-1234567), "-1,234,567"},
		{compactNumber(0), "0"}, {compactNumber(0.5), "0.5"}, {compactNumber(999), "999"}, {compactNumber(2500), "2.5k"}, {compactNumber(1284000), "1.28M"}, {compactNumber(5e9), "5G"},
		{words.Duration(40 * time.Second), "40 s"}, {words.Duration(-90 * time.Second), "2 min"}, {words.Duration(119 * time.Minute), "119 min"},
		{words.Duration(47 * time.Hour), "47 hours"}, {words.Duration(50 * time.Hour), "2 days"},
		{words.Ago(now, now), "just now"}, {words.Ago(now.Add(-3*time.Hour), now), "3 hours ago"},
		{words.Plural(1, "hour", "hours"), "1 hour"}, {words.Plural(2000, "hour", "hours"), "2,000 hours"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestNiceTop(t *testing.T) {
	t.Parallel()
	for most, want := range map[float64]float64{0: 1, 0.2: 1, 1: 1, 3: 3, 4.2: 5, 7: 8, 11: 12, 1319: 1600, 4531: 5000, 99999: 100000} {
		if got := niceTop(most); got != want {
			t.Errorf("the axis of %v ends at %v, want %v", most, got, want)
		}
	}
}

// The time of each zoom, and headings that cover each column once.
func TestZooms(t *testing.T) {
	t.Parallel()
	for _, last := range []time.Time{
		time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 6, 2, 0, 0, 0, 0, time.UTC), time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC),
	} {
		for _, z := range zooms {
			from, to := z.span(last)
			if to.Sub(from) != time.Duration(z.columns())*z.column || last.Before(from) || !last.Before(to) {
				t.Errorf("%s up to %s: %s to %s, %d columns", z.Key, last, from, to, z.columns())
			}
			if z.column == week && from.Weekday() != time.Monday {
				t.Errorf("the year up to %s begins on a %s", last, from.Weekday())
			}
			links := 0
			for _, row := range z.headings(from, to, func(zoom string, at time.Time) string {
				if f, t2 := zoomByKey(zoom).span(at); at.Before(from) || !at.Before(to) || t2.Before(f) {
					t.Errorf("%s up to %s leads to %s of %s", z.Key, last, zoom, at)
				}
				links++
				return "/"
			}) {
				columns := 0
				for _, h := range row {
					columns += h.Span
					if h.Href != "" && (h.Text == "" || h.Title == "") {
						t.Errorf("%s up to %s: a link without words", z.Key, last)
					}
				}
				if columns != z.columns() {
					t.Errorf("%s up to %s: headings over %d of %d columns", z.Key, last, columns, z.columns())
				}
			}
			if (links == 0) != (z.Key == "day") {
				t.Errorf("%s: %d links to a closer look", z.Key, links)
			}
		}
	}
}

// A chart's bars are as high as their values. A column longer than an hour
// shows the mean. Future columns have no bar.
func TestCharts(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	id := a.function("f")
	a.windows(id, at(3, 0), at(0, 7), 10)
	a.exec(`UPDATE archiver_internal.windows SET records = CASE WHEN window_start = $1 THEN 480 ELSE 24 END`, at(2, 5))
	a.figures()
	for _, test := range []struct{ zoom, records, failures, bar string }{
		{"day&at=2026-03-12", "1,032 in all, at most 480 an hour, 12 Mar 05:00.", "4 in all, at most 4 an hour, 12 Mar 05:00.", "<title>12 Mar 05:00: 480</title>"},
		{"month", "Mean of each day; at most 43 an hour, the day of 12 Mar.", "Mean of each day; at most 1.3 an hour, the day of 11 Mar.", "<title>14 Mar 2026: 17</title>"},
	} {
		for _, filter := range []string{"", "&q=f"} { // other tables
			page := a.get("/?zoom=" + test.zoom + filter)
			for _, text := range []string{test.records, test.failures, test.bar} {
				if !strings.Contains(page, text) {
					t.Errorf("%s%s lacks %q", test.zoom, filter, text)
				}
			}
		}
	}
}
