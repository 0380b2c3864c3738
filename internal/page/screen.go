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

const columnGap = 2 // between a name and its row of the map

// table prints a table with a style for each row.
func (p *printer) table(t *terminal.Table, styles []style) {
	for i, line := range t.Lines(p.Columns) {
		s := faint
		if i > 0 {
			s = styles[i-1]
		}
		p.line(part{s, line})
	}
}
