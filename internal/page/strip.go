package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// A strip is a row of the map.
type strip struct {
	zoom     zoom
	from, to time.Time
	columns  []column
}

type column struct {
	tally
	expected int64
	cell     read.Cell
}

func newStrip(z zoom, from, to time.Time) *strip {
	return &strip{z, from, to, make([]column, z.columns())}
}

// expect adds the hours [from, to) in which a function should have windows.
func (s *strip) expect(from, to time.Time) {
	from, to = later(from, s.from), earlier(to, s.to)
	for at := from; at.Before(to); {
		i := int(at.Sub(s.from) / s.zoom.column)
		end := earlier(to, s.from.Add(time.Duration(i+1)*s.zoom.column))
		s.columns[i].expected += int64(end.Sub(at) / archive.Hour)
		at = end
	}
}

// fill adds windows to their columns.
func (s *strip) fill(cells []read.Cell) {
	for i := range cells {
		c := &s.columns[int(cells[i].At.Sub(s.from)/s.zoom.column)]
		sum, cell := &c.cell, &cells[i]
		sum.Windows += cell.Windows
		sum.Complete += cell.Complete
		sum.InFlight += cell.InFlight
		sum.Off += cell.Off
		sum.Short += cell.Short
		sum.Failed += cell.Failed
		sum.Gone += cell.Gone
		sum.Records += cell.Records
		sum.Pending += cell.Pending
	}
	for i := range s.columns {
		c := &s.columns[i]
		c.tally = tallyOf(&c.cell, c.expected)
	}
}

// when formats a column's time.
func (s *strip) when(i int) string {
	at := s.from.Add(time.Duration(i) * s.zoom.column)
	switch s.zoom.column {
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

// cells returns the strip's table cells. They contain only numbers, times and
// texts of this package, no text from elsewhere.
func (s *strip) cells() template.HTML {
	var b strings.Builder
	for i := range s.columns {
		c := &s.columns[i]
		worst := c.worst()
		if worst == states {
			b.WriteString(`<td>`)
			continue
		}
		w := words[worst]
		b.WriteString(`<td class="` + w.Class)
		if share := (quarters*c.tally[worst] + c.all() - 1) / c.all(); share < quarters {
			fmt.Fprintf(&b, " q%d", share)
		}
		fmt.Fprintf(&b, `" title="%s: %s%s">%s`, s.when(i), c.words(), c.kept(), w.Name)
	}
	return template.HTML(b.String()) //nolint:gosec // see above
}

// kept formats the archived records of a column.
func (c *column) kept() string {
	if c.cell.Records == 0 {
		return ""
	}
	kept := "; " + count(c.cell.Records, "record", "records")
	if c.cell.Pending > 0 {
		kept += ", " + number(c.cell.Pending) + " in flight"
	}
	return kept
}

const (
	stackHeight = 100
	leastShare  = 9 // in percent of a stack, so that the smallest share is visible
)

// stacks returns the shares of all states for many functions: one stack per
// column in an SVG of height stackHeight, the worst state at the bottom.
func (s *strip) stacks() template.HTML {
	var b strings.Builder
	for i := range s.columns {
		c := &s.columns[i]
		all := float64(c.all())
		if all == 0 {
			continue
		}
		heights, sum := [states]float64{}, 0.0
		for st, n := range c.tally {
			if n > 0 {
				heights[st] = max(leastShare, stackHeight*float64(n)/all)
				sum += heights[st]
			}
		}
		fmt.Fprintf(&b, `<g><title>%s: %s%s</title>`, s.when(i), c.words(), c.kept())
		bottom := float64(stackHeight)
		for st, h := range heights {
			if h > 0 {
				h *= stackHeight / sum
				bottom -= h
				fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%.1f" width="10" height="%.1f"/>`, words[st].Class, i*barWidth, bottom, h)
			}
		}
		b.WriteString(`</g>`)
	}
	return template.HTML(b.String()) //nolint:gosec // as in cells
}

// said summarizes the strip in words.
func (s *strip) said() string {
	var t tally
	for i := range s.columns {
		t.add(s.columns[i].tally)
	}
	if t.all() == 0 {
		return "nothing planned in this time"
	}
	return t.words()
}
