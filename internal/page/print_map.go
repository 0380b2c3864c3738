package page

import (
	"context"
	"fmt"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/terminal"
	"archiver/internal/words"
)

// A glyph shows a state on a terminal: a block if all is well, or else a
// letter.
type glyph struct {
	text  string
	style style
}

var glyphs = [states]glyph{
	failed:   {"F", red},
	short:    {"S", purple},
	missed:   {"M", red},
	notRead:  {"·", orange},
	gone:     {"G", faint},
	expired:  {"x", faint},
	inFlight: {"▓", sky},
	off:      {"-", faint},
	complete: {"█", blue},
}

// partlyRead marks a column of which some hours are read and some are not.
var partlyRead = glyph{"▄", orange}

// maxHours is the largest map in hours of functions. A larger map is made of
// days.
const maxHours = 200_000

// columnLengths lists the possible lengths of a column, the shortest first.
var columnLengths = []struct {
	length time.Duration
	word   string
}{
	{archive.Hour, "an hour"}, {3 * archive.Hour, "three hours"}, {6 * archive.Hour, "six hours"},
	{12 * archive.Hour, "half a day"}, {day, "a day"}, {week, "a week"},
}

// scale selects the time that the map shows in this many columns: the time for
// which the source keeps records, in columns as short as possible, and earlier
// time as far as there is room.
func (l *loader) scale(columns int) (z zoom, from, to time.Time, word string) {
	first, last := l.extent()
	for i, c := range columnLengths {
		if c.length < day && columns*int(c.length/archive.Hour)*len(l.shown) > maxHours {
			continue
		}
		from, to = dayOf(first), dayOf(last.Add(day-1))
		if c.length == week {
			from, to = monday(from), monday(to.Add(-day)).Add(week)
		}
		z = zoom{days: int(to.Sub(from) / day), column: c.length}
		word = c.word
		fits := int(time.Duration(columns) * c.length / day)
		if c.length == week {
			fits = 7 * columns
		}
		if z.days <= fits || to.Add(-l.longestRetention()).After(to.AddDate(0, 0, -fits)) || i == len(columnLengths)-1 {
			z.days = min(z.days, fits)
			return z, to.AddDate(0, 0, -z.days), to, word
		}
	}
	return z, from, to, word
}

// printCoverage prints the map of the shown functions.
func (l *loader) printCoverage(ctx context.Context, p *printer, shown []read.Function) error {
	all := fmt.Sprintf("all %s", words.Plural(int64(len(l.shown)), "function", "functions"))
	names := terminal.Width(all)
	for i := range shown {
		names = max(names, terminal.Width(terminal.Line(l.names[shown[i].ID])))
	}
	share := 28
	if len(l.marks) > 0 {
		share = 40
	}
	names = min(names, max(minName, p.Columns*share/100))
	z, from, to, word := l.scale(p.Columns - names - columnGap)

	sum, err := l.sumRow(ctx, z, from, to)
	if err != nil {
		return err
	}
	rows, err := l.functionRows(ctx, shown, z, from, to)
	if err != nil {
		return err
	}
	p.line()
	p.text(bold, 0, 2, fmt.Sprintf("COVERAGE, one column is %s: %s, UTC", word, dateRange(from, to)))
	p.line(part{faint, strings.Repeat(" ", names+columnGap) + z.ruler(from)})
	if len(l.shown) > 1 {
		p.mapRow(names, all, sum)
	}
	for i := range shown {
		p.mapRow(names, l.shortName(&shown[i], names), rows[i])
	}
	if more := len(l.shown) - len(shown); more > 0 {
		p.text(faint, 0, 2, fmt.Sprintf("… and %s: --all shows them", words.Plural(int64(more), "more function", "more functions")))
	}
	p.legend()
	return nil
}

// shortName cuts a function's name to a width in cells, and leaves what tells it from others
// of its name.
func (l *loader) shortName(f *read.Function, width int) string {
	mark := l.marks[f.ID]
	if mark == "" {
		return terminal.Cut(f.Name, width)
	}
	mark = " " + terminal.Cut("("+mark+")", width-minName/2)
	return terminal.Cut(f.Name, width-terminal.Width(mark)) + mark
}

// mapRow prints a row of the map.
func (p *printer) mapRow(names int, name string, s *mapRow) {
	name = terminal.Cut(name, names)
	parts := []part{{plain, name + strings.Repeat(" ", names-terminal.Width(name)+columnGap)}}
	for i := range s.columns {
		g := s.columns[i].glyph()
		if last := &parts[len(parts)-1]; len(parts) > 1 && last.style == g.style {
			last.text += g.text
		} else {
			parts = append(parts, part{g.style, g.text})
		}
	}
	p.line(parts...)
}

// glyph returns the glyph of a column's worst state.
func (c *column) glyph() glyph {
	worst := c.worst()
	switch {
	case worst == states:
		return glyph{" ", plain}
	case worst == notRead && c.tally[notRead] < c.total():
		return partlyRead
	default:
		return glyphs[worst]
	}
}

// legend explains the map's characters.
func (p *printer) legend() {
	entries := []struct {
		glyph
		name string
	}{
		{glyphs[complete], "complete"}, {glyphs[inFlight], "records in flight"}, {partlyRead, "partly read"},
		{glyphs[notRead], "not read"}, {glyphs[failed], "failed"}, {glyphs[short], "short"},
		{glyphs[missed], "missed"}, {glyphs[expired], "expired"}, {glyphs[gone], "gone"}, {glyphs[off], "off: the source kept no records"},
	}
	var parts []part
	room := p.Columns
	for _, s := range entries {
		if width := terminal.Width(s.text + " " + s.name); width > room && len(parts) > 0 {
			p.line(parts...)
			parts, room = nil, p.Columns
		}
		parts = append(parts, part{s.style, s.text}, part{plain, " " + s.name + strings.Repeat(" ", columnGap)})
		room -= terminal.Width(s.text+" "+s.name) + columnGap
	}
	p.line(parts...)
}

// ruler labels the columns where there is room.
func (z zoom) ruler(from time.Time) string {
	var b strings.Builder
	width := 0
	for i := range z.columns() {
		at := from.Add(time.Duration(i) * z.column)
		label := z.tick(at, i == 0)
		if label == "" || width > 0 && i < width+columnGap || i+len(label) > z.columns() && i > 0 {
			continue
		}
		b.WriteString(strings.Repeat(" ", i-width) + label)
		width = i + len(label)
	}
	return b.String()
}

// tick returns the label of a column that starts a day, week, month or year, or
// "".
func (z zoom) tick(at time.Time, first bool) string {
	switch {
	case z.column == week:
		switch last := at.Add(week - day); {
		case first:
			return at.Format("Jan 2006")
		case last.YearDay() <= 7:
			return last.Format("2006")
		case last.Day() <= 7:
			return last.Format("Jan")
		}
		return ""
	case z.column >= 12*archive.Hour && at.Weekday() != time.Monday && !first:
		return ""
	case at.Hour() == 0:
		return at.Format("2 Jan")
	case z.column == archive.Hour && at.Hour()%6 == 0:
		return at.Format("15h")
	default:
		return ""
	}
}
