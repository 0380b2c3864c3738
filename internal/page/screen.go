package page

import (
	"bytes"
	"strings"

	"archiver/internal/terminal"
)

// A Screen describes the terminal, or the file in its place.
type Screen struct {
	Columns int
	Color   bool
	All     bool // all functions, not only the first screenRows
}

// minColumns is the smallest width of the output.
const minColumns = 24

// A style is the colour of a part of a line. The colours remain distinct for
// most people with a colour vision deficiency (palette of Okabe and Ito). No
// information depends on the colour alone.
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "38;5;245"
	blue   style = "38;5;32"
	sky    style = "38;5;117"
	orange style = "38;5;214"
	red    style = "1;38;5;202"
	purple style = "1;38;5;175"
)

// styleOf returns the style of a class of the page.
func styleOf(class string) style {
	switch class {
	case "good":
		return blue
	case "wait":
		return orange
	case "bad":
		return red
	default:
		return plain
	}
}

// A part is a piece of a line.
type part struct {
	style style
	text  string
}

// A printer prints lines that fit the screen.
type printer struct {
	Screen
	out bytes.Buffer
}

// line prints its parts in one line, and cuts them at the screen's width.
func (p *printer) line(parts ...part) {
	room := p.Columns
	var b strings.Builder
	for i, part := range parts {
		text := part.text
		if i == len(parts)-1 {
			text = strings.TrimRight(text, " ")
		}
		text = terminal.Truncate(text, room, "…")
		room -= terminal.Width(text)
		if p.Color && part.style != plain && text != "" {
			text = "\x1b[" + string(part.style) + "m" + text + "\x1b[0m"
		}
		b.WriteString(text)
	}
	p.out.WriteString(b.String() + "\n")
}

// title starts a section.
func (p *printer) title(text string) {
	p.line()
	p.line(part{bold, text})
}

// text prints a text in at most maxLines lines, indented by indent columns.
func (p *printer) text(s style, indent, maxLines int, text string) {
	room := max(1, p.Columns-indent)
	left := strings.Repeat(" ", indent)
	words := strings.Fields(terminal.Line(text))
	for lines := 1; len(words) > 0; lines++ {
		line := words[0]
		words = words[1:]
		for len(words) > 0 && terminal.Width(line)+1+terminal.Width(words[0]) <= room {
			line += " " + words[0]
			words = words[1:]
		}
		if lines == maxLines && len(words) > 0 {
			line += " " + strings.Join(words, " ")
			words = nil
		}
		if over := terminal.Width(line) - room; over > 0 && lines < maxLines {
			// Break a word that is longer than a line.
			whole := terminal.Truncate(line, room, "")
			if rest := strings.TrimPrefix(line, whole); whole != "" {
				line, words = whole, append([]string{rest}, words...)
			}
		}
		p.line(part{s, left + terminal.Truncate(line, room, "…")})
	}
}

// A tableHead describes a column of a table.
type tableHead struct {
	text    string
	right   bool // right-aligned, for numbers
	rank    int  // columns of the highest rank are dropped first if there is no room; 0 is never dropped
	shrinks bool // shortened before other columns are dropped
}

// minShrunk is the smallest width of a shortened column.
const minShrunk = 10

// maxShrinking is the largest width of a column that can be shortened.
const maxShrinking = 48

const columnGap = 2 // between columns of a table

// table prints a table; styles, if not nil, has a style for each row.
func (p *printer) table(heads []tableHead, rows [][]string, styles []style) {
	widths := make([]int, len(heads))
	for i, h := range heads {
		for _, row := range rows {
			row[i] = terminal.Line(row[i])
			widths[i] = max(widths[i], terminal.Width(row[i]))
		}
		if widths[i] > 0 {
			widths[i] = max(widths[i], terminal.Width(h.text))
		}
		if h.shrinks {
			widths[i] = min(widths[i], maxShrinking)
		}
	}
	shown := fit(heads, widths, p.Columns)
	write := func(s style, cells func(i int) string) {
		var b strings.Builder
		for n, i := range shown {
			text := terminal.Truncate(cells(i), widths[i], "…")
			pad := strings.Repeat(" ", widths[i]-terminal.Width(text))
			if n > 0 {
				b.WriteString(strings.Repeat(" ", columnGap))
			}
			if heads[i].right {
				text, pad = pad, text
			}
			b.WriteString(text + pad)
		}
		p.line(part{s, b.String()})
	}
	write(faint, func(i int) string { return heads[i].text })
	for n, row := range rows {
		s := plain
		if styles != nil {
			s = styles[n]
		}
		write(s, func(i int) string { return row[i] })
	}
}

// fit selects the columns that fit, and first shortens the columns that shrink.
func fit(heads []tableHead, widths []int, columns int) (shown []int) {
	for i := range heads {
		if widths[i] > 0 { // skip empty columns
			shown = append(shown, i)
		}
	}
	for {
		width := -columnGap
		for _, i := range shown {
			width += columnGap + widths[i]
		}
		for _, i := range shown {
			if over := width - columns; over > 0 && heads[i].shrinks {
				less := min(over, max(0, widths[i]-minShrunk))
				widths[i] -= less
				width -= less
			}
		}
		last := -1
		for n, i := range shown {
			if heads[i].rank > 0 && (last < 0 || heads[i].rank > heads[shown[last]].rank) {
				last = n
			}
		}
		if width <= columns || last < 0 {
			return shown
		}
		shown = append(shown[:last:last], shown[last+1:]...)
	}
}
