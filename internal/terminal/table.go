package terminal

import (
	"io"
	"strings"
)

// gap stands between two columns.
const gap = "  "

// leastLast is the least width of a last column that texts are cut to. With
// less room, each text of the last column stands on a line of its own.
const leastLast = 30

// A Table is printed with its columns in line.
type Table struct {
	Head  []string
	Right int // the column whose texts stand on the right, such as numbers; 0 for none

	rows [][]string
}

// Add adds a row: a text for each column. The texts may be hostile.
func (t *Table) Add(texts ...string) {
	row := make([]string, len(texts))
	for i, text := range texts {
		row[i] = Line(text)
	}
	t.rows = append(t.rows, row)
}

// Write prints the table, and nothing if it has no row. A width above 0 bounds
// the table: the last two columns are cut to what is left of it.
func (t *Table) Write(w io.Writer, width int) error {
	if len(t.rows) == 0 {
		return nil
	}
	last := len(t.Head) - 1
	widths := make([]int, last)
	hasLast := false
	for _, row := range append([][]string{t.Head}, t.rows...) {
		for i := range widths {
			widths[i] = max(widths[i], Width(row[i]))
		}
	}
	for _, row := range t.rows {
		hasLast = hasLast || row[last] != ""
	}
	left := width
	if width > 0 {
		for _, n := range widths[:last-1] {
			left -= n + len(gap)
		}
		widths[last-1] = min(widths[last-1], left)
		left -= widths[last-1] + len(gap)
	}
	inLine := hasLast && (width == 0 || left >= leastLast)
	cut := func(text string, n int) string {
		if width == 0 {
			return text
		}
		return Cut(text, n)
	}
	var b strings.Builder
	for i, row := range append([][]string{t.Head}, t.rows...) {
		var line strings.Builder
		for j, n := range widths {
			text := cut(row[j], n)
			if j > 0 && j == t.Right {
				text = strings.Repeat(" ", n-Width(text)) + text
			}
			line.WriteString(Pad(text, n) + gap)
		}
		if inLine {
			line.WriteString(cut(row[last], left))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if !inLine && i > 0 && row[last] != "" {
			b.WriteString(gap + cut(row[last], width-len(gap)) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
