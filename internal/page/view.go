package page

import (
	"context"
	"fmt"
	"html/template"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/words"
)

// A view is the map and the charts of one zoom.
type view struct {
	Key, Title, Unit string
	Default          bool
	At               string // the last day shown
	Zooms            []zoomLink
	Earlier, Later   string
	Newest           string
	Headings         [][]heading
	Columns          int
	Sum              template.HTML
	SumText          string
	Rows             []row
	Count            string
	Before, After    string // links to other pages of functions
	Charts           []chart
	Table            []tableRow
	ColumnWord       string
}

// A zoomLink is a link to a zoom.
type zoomLink struct {
	Label, Href string
	Current     bool
}

// A row is the row of a function in the map.
type row struct {
	Name, URN, Href string
	Mark            string // tells the function from others of its name
	Tag             string
	Cells           template.HTML
}

// A tableRow is a column of the charts as text.
type tableRow struct{ At, Records, Failed, Share string }

func (l *loader) view(ctx context.Context, z zoom) (v view, err error) {
	last := l.last()
	from, to := z.span(last)
	v = view{Key: z.Key, Unit: z.unit(), At: last.Format(time.DateOnly), Columns: z.columns(), Title: dateRange(from, to)}
	for _, other := range zooms {
		c := zoomLink{Label: other.Label, Href: l.link(other.Key, l.at, l.match, 1), Current: other.Key == z.Key}
		if l.report {
			c.Href = "#" + other.Key
		}
		v.Zooms = append(v.Zooms, c)
	}
	if !l.report {
		l.setTimeLinks(&v, z, last)
	}
	v.Headings = z.headings(from, to, func(zoom string, at time.Time) string { return l.link(zoom, at, l.match, 1) })
	if err := l.setRows(ctx, &v, z, from, to); err != nil {
		return v, err
	}
	err = l.setCharts(ctx, &v, z, from, to)
	return v, err
}

// setTimeLinks sets the links to earlier and later times.
func (l *loader) setTimeLinks(v *view, z zoom, last time.Time) {
	step := min(z.days, 52*7)
	v.Earlier = l.link(z.Key, last.AddDate(0, 0, -step), l.match, 1)
	newest := maxTime(l.newest(), dayOf(l.now))
	if last.Before(newest) {
		v.Later = l.link(z.Key, minTime(last.AddDate(0, 0, step), newest), l.match, 1)
		v.Newest = l.link(z.Key, time.Time{}, l.match, 1)
	}
}

// dateRange formats the days [from, to).
func dateRange(from, to time.Time) string {
	last := to.Add(-1)
	switch {
	case dayOf(from).Equal(dayOf(last)):
		return from.Format("Monday, 2 January 2006")
	case from.Year() != last.Year():
		return from.Format("2 January 2006") + " to " + last.Format("2 January 2006")
	case from.Month() != last.Month():
		return from.Format("2 January") + " to " + last.Format("2 January 2006")
	default:
		return from.Format("2") + " to " + last.Format("2 January 2006")
	}
}

// setRows sets the rows of this page's functions, and the sum of all functions.
func (l *loader) setRows(ctx context.Context, v *view, z zoom, from, to time.Time) error {
	size := pageRows
	if l.report {
		size = reportRows
	}
	pages := max(1, (len(l.shown)+size-1)/size)
	page := min(l.page, pages)
	shown := l.shown[(page-1)*size : min(page*size, len(l.shown))]
	v.Count = words.Plural(int64(len(l.shown)), "function", "functions")
	if l.match != "" {
		v.Count += " match"
	}
	if pages > 1 {
		v.Count = fmt.Sprintf("%s to %s of %s, problems first", words.Number(int64((page-1)*size+1)), words.Number(int64((page-1)*size+len(shown))), v.Count)
	}
	if page > 1 {
		v.Before = l.link(z.Key, l.at, l.match, page-1)
	}
	if page < pages {
		v.After = l.link(z.Key, l.at, l.match, page+1)
	}
	sum, err := l.sumRow(ctx, z, from, to)
	if err != nil {
		return err
	}
	v.Sum, v.SumText = sum.stacksHTML(), sum.summary()
	rows, err := l.functionRows(ctx, shown, z, from, to)
	if err != nil {
		return err
	}
	for i := range shown {
		f := &shown[i]
		v.Rows = append(v.Rows, row{
			Name: f.Name, Mark: l.marks[f.ID], URN: f.URN, Href: l.link(z.Key, l.at, f.URN, 1), Tag: remark(f), Cells: rows[i].cellsHTML(),
		})
	}
	return nil
}

// remark returns a short remark on a function.
func remark(f *read.Function) string {
	switch {
	case f.Standing == "missing":
		return "not listed"
	case f.Standing != read.Wanted:
		return f.Standing
	case f.OffSince != nil:
		return "log off"
	case f.Windows == 0:
		return "not planned"
	default:
		return ""
	}
}

// setCharts sets the charts of records and failures, and the table of both.
func (l *loader) setCharts(ctx context.Context, v *view, z zoom, from, to time.Time) error {
	var of []int32
	if l.match != "" || l.source != "" {
		of = ids(l.shown)
	}
	figures, err := l.Figures(ctx, of, from, to, z.grain())
	if err != nil {
		return err
	}
	records, failures := barsOf(figures, z, from, l.now)
	for i := range records {
		r, f := &records[i], &failures[i]
		if !r.past {
			continue
		}
		text := tableRow{At: r.at.Format(barTimeFormat(z)), Records: words.Number(int64(r.value)), Failed: words.Number(int64(f.value))}
		if r.value > 0 {
			text.Share = fmt.Sprintf("%.2f %%", 100*f.value/r.value)
		}
		v.Table = append(v.Table, text)
		// A bar is the mean of its past hours.
		if hours := overlapHours(r.at, r.at.Add(z.column), from, minTime(to, l.now.Add(archive.Hour-1).Truncate(archive.Hour))); hours > 1 {
			r.value /= float64(hours)
			f.value /= float64(hours)
		}
	}
	v.ColumnWord = strings.ToUpper(v.Unit[:1]) + v.Unit[1:]
	v.Charts = []chart{
		newChart("Records per hour", "records", z, records),
		newChart("Failures per hour", "failures", z, failures),
	}
	return nil
}

// barsOf returns a bar of records and a bar of failures for each column.
func barsOf(figures []read.Figure, z zoom, from, now time.Time) (records, failures []bar) {
	records, failures = make([]bar, z.columns()), make([]bar, z.columns())
	for i := range records {
		at := from.Add(time.Duration(i) * z.column)
		records[i] = bar{at: at, past: at.Before(now)}
		failures[i] = records[i]
	}
	for _, f := range figures {
		i := int(f.At.Sub(from) / z.column)
		records[i].value += float64(f.Records)
		failures[i].value += float64(f.Failed)
	}
	return records, failures
}
