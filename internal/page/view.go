package page

import (
	"context"
	"fmt"
	"html/template"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// A view is the map and the charts of one zoom.
type view struct {
	Key, Title, Unit string
	Default          bool
	At               string // the last day shown
	Zooms            []choice
	Earlier, Later   string
	Newest           string
	Headings         [][]heading
	Columns          int
	Sum              template.HTML
	SumSaid          string
	Rows             []row
	Count            string
	Before, After    string // links to other pages of functions
	Charts           []chart
	Table            []tableRow
	ColumnWord       string
}

// A choice is a link to a zoom.
type choice struct {
	Word, Href string
	Current    bool
}

// A row is the row of a function in the map.
type row struct {
	Name, URN, Href string
	Tag             string
	Cells           template.HTML
}

// A tableRow is a column of the charts as text.
type tableRow struct{ At, Records, Failed, Said string }

func (l *look) view(ctx context.Context, z zoom) (v view, err error) {
	last := l.last()
	from, to := z.span(last)
	v = view{Key: z.Key, Unit: z.unit(), At: last.Format(time.DateOnly), Columns: z.columns(), Title: spanWords(from, to)}
	for _, other := range zooms {
		c := choice{Word: other.Word, Href: l.link(other.Key, l.at, l.match, 1), Current: other.Key == z.Key}
		if l.report {
			c.Href = "#" + other.Key
		}
		v.Zooms = append(v.Zooms, c)
	}
	if !l.report {
		l.around(&v, z, last)
	}
	v.Headings = z.headings(from, to, func(zoom string, at time.Time) string { return l.link(zoom, at, l.match, 1) })
	if err := l.rows(ctx, &v, z, from, to); err != nil {
		return v, err
	}
	err = l.charts(ctx, &v, z, from, to)
	return v, err
}

// around sets the links to earlier and later times.
func (l *look) around(v *view, z zoom, last time.Time) {
	step := min(z.days, 52*7)
	v.Earlier = l.link(z.Key, last.AddDate(0, 0, -step), l.match, 1)
	newest := later(l.newest(), dayOf(l.now))
	if last.Before(newest) {
		v.Later = l.link(z.Key, earlier(last.AddDate(0, 0, step), newest), l.match, 1)
		v.Newest = l.link(z.Key, time.Time{}, l.match, 1)
	}
}

// spanWords formats the days [from, to).
func spanWords(from, to time.Time) string {
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

// rows sets the rows of this page's functions, and the sum of all functions.
func (l *look) rows(ctx context.Context, v *view, z zoom, from, to time.Time) error {
	size := pageRows
	if l.report {
		size = reportRows
	}
	pages := max(1, (len(l.shown)+size-1)/size)
	page := min(l.page, pages)
	shown := l.shown[(page-1)*size : min(page*size, len(l.shown))]
	v.Count = count(int64(len(l.shown)), "function", "functions")
	if l.match != "" {
		v.Count += " match"
	}
	if pages > 1 {
		v.Count = fmt.Sprintf("%s to %s of %s, problems first", number(int64((page-1)*size+1)), number(int64((page-1)*size+len(shown))), v.Count)
	}
	if page > 1 {
		v.Before = l.link(z.Key, l.at, l.match, page-1)
	}
	if page < pages {
		v.After = l.link(z.Key, l.at, l.match, page+1)
	}
	sums, err := l.Sums(ctx, ids(l.shown), from, to, z.grain())
	if err != nil {
		return err
	}
	all := newStrip(z, from, to)
	for i := range l.shown {
		all.expect(expected(&l.shown[i], l.now, l.goesOn))
	}
	all.fill(sums)
	v.Sum, v.SumSaid = all.stacks(), all.said()

	cells, err := l.Cells(ctx, ids(shown), from, to, z.grain())
	if err != nil {
		return err
	}
	for i := range shown {
		f := &shown[i]
		strip := newStrip(z, from, to)
		strip.expect(expected(f, l.now, l.goesOn))
		strip.fill(cellsFor(cells, f.ID))
		v.Rows = append(v.Rows, row{
			Name: l.names[f.ID], URN: f.URN, Href: l.link(z.Key, l.at, f.URN, 1), Tag: tag(f), Cells: strip.cells(),
		})
	}
	return nil
}

// cellsFor returns the cells of one function. The cells of a function are
// contiguous.
func cellsFor(cells []read.Cell, id int32) []read.Cell {
	first := 0
	for first < len(cells) && cells[first].FunctionID != id {
		first++
	}
	end := first
	for end < len(cells) && cells[end].FunctionID == id {
		end++
	}
	return cells[first:end]
}

// tag returns a short remark on a function.
func tag(f *read.FunctionTotals) string {
	switch {
	case f.GoneAt != nil:
		return "gone"
	case f.OffSince != nil:
		return "log off"
	case f.Windows == 0:
		return "not planned"
	default:
		return ""
	}
}

// charts sets the charts of records and failures, and the table of both.
func (l *look) charts(ctx context.Context, v *view, z zoom, from, to time.Time) error {
	var of []int32
	if l.match != "" {
		of = ids(l.shown)
	}
	figures, err := l.Figures(ctx, of, from, to, z.grain())
	if err != nil {
		return err
	}
	records, failures := make([]bar, v.Columns), make([]bar, v.Columns)
	for i := range records {
		at := from.Add(time.Duration(i) * z.column)
		records[i] = bar{at: at, known: at.Before(l.now)}
		failures[i] = records[i]
	}
	for _, f := range figures {
		i := int(f.At.Sub(from) / z.column)
		records[i].value += float64(f.Records)
		failures[i].value += float64(f.Failed)
	}
	for i := range records {
		r, f := &records[i], &failures[i]
		if !r.known {
			continue
		}
		said := tableRow{At: r.at.Format(pointShape(z)), Records: number(int64(r.value)), Failed: number(int64(f.value))}
		if r.value > 0 {
			said.Said = fmt.Sprintf("%.2f %%", 100*f.value/r.value)
		}
		v.Table = append(v.Table, said)
		// A bar is the mean of its past hours.
		if hours := hoursIn(r.at, r.at.Add(z.column), from, earlier(to, l.now.Add(archive.Hour-1).Truncate(archive.Hour))); hours > 1 {
			r.value /= float64(hours)
			f.value /= float64(hours)
		}
	}
	v.ColumnWord = strings.ToUpper(v.Unit[:1]) + v.Unit[1:]
	v.Charts = []chart{
		chartOf("Records per hour", "records", "records", z, records),
		chartOf("Failures per hour", "failures", "failures", z, failures),
	}
	return nil
}
