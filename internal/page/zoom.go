package page

import (
	"cmp"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// A zoom is a length of time that the page shows, divided into columns.
type zoom struct {
	Key, Label string
	days       int           // shown
	column     time.Duration // an hour, a day or a week
	width      float64       // of a column in rem, at least: see min-width in page.css
}

// zooms lists all zooms, the shortest first.
var zooms = []zoom{
	{"day", "Day", 1, archive.Hour, 1.29},
	{"week", "Week", 7, archive.Hour, 0.29},
	{"month", "Month", 30, day, 1.03},
	{"quarter", "90 days", 90, day, 0.54},
	{"year", "Year", 53 * 7, week, .92},
}

// zoomByKey returns the zoom with this key, or the week.
func zoomByKey(key string) zoom {
	for _, z := range zooms {
		if z.Key == key {
			return z
		}
	}
	return zooms[1]
}

// grain returns the resolution of the zoom's queries.
func (z zoom) grain() read.Grain {
	if z.column < day {
		return read.Hourly
	}
	return read.Daily
}

// unit names the length of a column.
func (z zoom) unit() string {
	switch z.column {
	case archive.Hour:
		return "hour"
	case day:
		return "day"
	default:
		return "week"
	}
}

// span returns the time shown if last is the last day. Weeks are whole, from
// Monday on.
func (z zoom) span(last time.Time) (from, to time.Time) {
	to = last.Add(day)
	if z.column == week {
		to = monday(last).Add(week)
	}
	return to.AddDate(0, 0, -z.days), to
}

// columns returns the number of columns.
func (z zoom) columns() int { return int(time.Duration(z.days) * day / z.column) }

// monday returns the beginning of the week of t.
func monday(t time.Time) time.Time {
	return t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
}

// dayOf returns the beginning of the day of t, in UTC.
func dayOf(t time.Time) time.Time { return t.UTC().Truncate(day) }

// The width of a heading in rem: at most, of each character in the mean; and what it has
// on its left over several columns.
const (
	labelWidth   = .46
	labelPadding = .3
)

// A heading is above one or more columns.
type heading struct {
	Text  string
	Href  string // to a closer zoom
	Title string
	Span  int
}

// headings returns the rows above the map: links to a closer zoom, and labels
// of months.
func (z zoom) headings(from, to time.Time, link func(zoom string, at time.Time) string) [][]heading {
	over := func(end func(time.Time) time.Time, text func(from, to time.Time) heading) (row []heading) {
		for at := from; at.Before(to); {
			next := minTime(end(at), to)
			h := text(at, next)
			h.Span = int(next.Sub(at) / z.column)
			row = append(row, h)
			at = next
		}
		return row
	}
	hour := func(at time.Time) time.Time { return at.Add(archive.Hour) }
	nextDay := func(at time.Time) time.Time { return at.Add(day) }
	nextWeek := func(at time.Time) time.Time { return monday(at).Add(week) }
	month := func(at time.Time) time.Time {
		next := time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		if z.column == week { // a week belongs to the month in which it begins
			next = monday(next.Add(week - day))
		}
		return next
	}
	// fitting returns the first text that is not cut off.
	fitting := func(at, next time.Time, shapes ...string) string {
		for _, shape := range shapes {
			text, columns := at.Format(shape), float64(next.Sub(at)/z.column)
			needs := float64(len(text)) * labelWidth
			if columns > 1 {
				needs += labelPadding
			}
			if needs <= columns*z.width {
				return text
			}
		}
		return ""
	}
	months := func() []heading {
		return over(month, func(at, next time.Time) heading {
			return heading{Text: fitting(at, next, "January 2006", "Jan 2006", "Jan 06", "Jan"), Title: at.Format("January 2006")}
		})
	}
	toDay := func(shape string) []heading {
		return over(nextDay, func(at, _ time.Time) heading {
			return heading{Text: at.Format(shape), Href: link("day", at), Title: "Show " + at.Format("Monday, 2 January 2006")}
		})
	}
	toWeek := func(shapes ...string) []heading {
		return over(nextWeek, func(at, next time.Time) heading {
			return heading{
				Text: cmp.Or(fitting(at, next, shapes...), "·"), Href: link("week", next.Add(-day)),
				Title: "Show the week of " + at.Format("2 January 2006"),
			}
		})
	}
	switch z.Key {
	case "day":
		return [][]heading{over(hour, func(at, _ time.Time) heading {
			return heading{Text: at.Format("15"), Title: at.Format("15:04 UTC")}
		})}
	case "week":
		return [][]heading{toDay("Mon 2 Jan")}
	case "month":
		return [][]heading{months(), toDay("2")}
	case "quarter":
		return [][]heading{months(), toWeek("2 Jan", "2")}
	default:
		return [][]heading{months(), toWeek("2")}
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
