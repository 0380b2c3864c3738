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

// A mapRow is a row of the map.
type mapRow struct {
	zoom     zoom
	from, to time.Time
	columns  []column
}

type column struct {
	tally
	expected int64
	cell     read.Cell
}

func newMapRow(z zoom, from, to time.Time) *mapRow {
	return &mapRow{z, from, to, make([]column, z.columns())}
}

// sumRow returns the sum of all shown functions.
func (l *loader) sumRow(ctx context.Context, z zoom, from, to time.Time) (*mapRow, error) {
	cells, err := l.Sums(ctx, ids(l.shown), from, to, z.grain())
	if err != nil {
		return nil, err
	}
	sum := newMapRow(z, from, to)
	for i := range l.shown {
		sum.expect(l.of(&l.shown[i]).Hours(&l.shown[i]))
	}
	sum.fill(cells)
	return sum, nil
}

// functionRows returns a row for each of the functions.
func (l *loader) functionRows(ctx context.Context, functions []read.Function, z zoom, from, to time.Time) ([]*mapRow, error) {
	cells, err := l.Cells(ctx, ids(functions), from, to, z.grain())
	if err != nil {
		return nil, err
	}
	byFunction := make(map[int32][]read.Cell)
	for _, c := range cells {
		byFunction[c.FunctionID] = append(byFunction[c.FunctionID], c)
	}
	rows := make([]*mapRow, len(functions))
	for i := range functions {
		f := &functions[i]
		rows[i] = newMapRow(z, from, to)
		rows[i].expect(l.of(f).Hours(f))
		rows[i].fill(byFunction[f.ID])
	}
	return rows, nil
}

// expect adds the hours [from, to) in which a function should have windows.
func (r *mapRow) expect(from, to time.Time) {
	from, to = maxTime(from, r.from), minTime(to, r.to)
	for at := from; at.Before(to); {
		i := int(at.Sub(r.from) / r.zoom.column)
		end := minTime(to, r.from.Add(time.Duration(i+1)*r.zoom.column))
		r.columns[i].expected += int64(end.Sub(at) / archive.Hour)
		at = end
	}
}

// fill adds windows to their columns.
func (r *mapRow) fill(cells []read.Cell) {
	for i := range cells {
		c := &r.columns[int(cells[i].At.Sub(r.from)/r.zoom.column)]
		sum, cell := &c.cell, &cells[i]
		sum.Windows += cell.Windows
		sum.Complete += cell.Complete
		sum.InFlight += cell.InFlight
		sum.Off += cell.Off
		sum.Short += cell.Short
		sum.Failed += cell.Failed
		sum.Gone += cell.Gone
		sum.Expired += cell.Expired
		sum.Missed += cell.Missed
		sum.Records += cell.Records
		sum.Pending += cell.Pending
	}
	for i := range r.columns {
		c := &r.columns[i]
		c.tally = tallyOf(&c.cell, c.expected)
	}
}

// columnTime formats a column's time.
func (r *mapRow) columnTime(i int) string {
	at := r.from.Add(time.Duration(i) * r.zoom.column)
	switch r.zoom.column {
	case archive.Hour:
		return at.Format("Mon 2 Jan 15:04")
	case day:
		return at.Format("Mon 2 Jan")
	default:
		return at.Format("week of 2 Jan")
	}
}

// quarters is the number of steps in the height of a cell's mark. The mark
// shows the share of the worst state; the rest of the cell is complete.
const quarters = 4

// cellsHTML returns the row's table cells. They contain only numbers, times
// and texts of this package, no text from elsewhere.
func (r *mapRow) cellsHTML() template.HTML {
	var b strings.Builder
	for i := range r.columns {
		c := &r.columns[i]
		worst := c.worst()
		if worst == states {
			b.WriteString(`<td>`)
			continue
		}
		w := stateTexts[worst]
		b.WriteString(`<td class="` + w.Class)
		if share := (quarters*c.tally[worst] + c.total() - 1) / c.total(); share < quarters {
			fmt.Fprintf(&b, " q%d", share)
		}
		fmt.Fprintf(&b, `" title="%s: %s%s">%s`, r.columnTime(i), c.text(), c.recordsText(), w.Name)
	}
	return template.HTML(b.String()) //nolint:gosec // see above
}

// recordsText formats the archived records of a column.
func (c *column) recordsText() string {
	if c.cell.Records == 0 {
		return ""
	}
	kept := "; " + words.Plural(c.cell.Records, "record", "records")
	if c.cell.Pending > 0 {
		kept += ", " + words.Number(c.cell.Pending) + " in flight"
	}
	return kept
}

const (
	stackHeight = 100
	minShare    = 9 // in percent of a stack, so that the smallest share is visible
)

// stacksHTML returns the shares of all states for many functions: one stack per
// column in an SVG of height stackHeight, the worst state at the bottom.
func (r *mapRow) stacksHTML() template.HTML {
	var b strings.Builder
	for i := range r.columns {
		c := &r.columns[i]
		all := float64(c.total())
		if all == 0 {
			continue
		}
		heights, sum := [states]float64{}, 0.0
		for st, n := range c.tally {
			if n > 0 {
				heights[st] = max(minShare, stackHeight*float64(n)/all)
				sum += heights[st]
			}
		}
		fmt.Fprintf(&b, `<g><title>%s: %s%s</title>`, r.columnTime(i), c.text(), c.recordsText())
		bottom := float64(stackHeight)
		for st, h := range heights {
			if h > 0 {
				h *= stackHeight / sum
				bottom -= h
				fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%.1f" width="10" height="%.1f"/>`, stateTexts[st].Class, i*barWidth, bottom, h)
			}
		}
		b.WriteString(`</g>`)
	}
	return template.HTML(b.String()) //nolint:gosec // as in cells
}

// summary summarizes the row in words.
func (r *mapRow) summary() string {
	var t tally
	for i := range r.columns {
		t.add(r.columns[i].tally)
	}
	if t.total() == 0 {
		return "nothing planned in this time"
	}
	return t.text()
}
