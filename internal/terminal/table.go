package terminal

import (
	"io"
	"slices"
	"strings"
)

// gap stands between two columns.
const gap = "  "

// A Column is a column of a Table.
type Column struct {
	Head  string
	Right bool // right-aligned, for numbers
	Rank  int  // columns of the highest rank are left out first if there is no room; 0 is never left out
	Most  int  // the largest width; 0 for no limit
	Least int  // the column is shortened to this width before any is left out; 0: it is not shortened
}

// A Table is printed with its columns in line.
type Table struct {
	Columns []Column
	// Below prints the texts of the last column on lines of their own if that column
	// is left out.
	Below bool

	rows [][]string
}

// Heads makes columns of their heads alone.
func Heads(heads ...string) (columns []Column) {
	for _, head := range heads {
		columns = append(columns, Column{Head: head})
	}
	return columns
}

// Add adds a row: a text for each column. The texts may be hostile.
func (t *Table) Add(texts ...string) {
	row := make([]string, len(texts))
	for i, text := range texts {
		row[i] = Line(text)
	}
	t.rows = append(t.rows, row)
}

// Write prints the table, and nothing if it has no row. A width above 0 bounds the
// lines.
func (t *Table) Write(w io.Writer, width int) error {
	var b strings.Builder
	for _, line := range t.Lines(width) {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Lines returns the heads and each row as a line, and nothing if there is no row.
// Columns without a text are left out. A width above 0 bounds the lines.
func (t *Table) Lines(width int) (lines []string) {
	if len(t.rows) == 0 {
		return nil
	}
	heads, widths := make([]string, len(t.Columns)), make([]int, len(t.Columns))
	for i, c := range t.Columns {
		for _, row := range t.rows {
			widths[i] = max(widths[i], Width(row[i]))
		}
		if widths[i] > 0 {
			widths[i] = max(widths[i], Width(c.Head))
		}
		if c.Most > 0 {
			widths[i] = min(widths[i], c.Most)
		}
		heads[i] = c.Head
	}
	shown := t.fit(widths, width)
	last := len(heads) - 1
	below := t.Below && !slices.Contains(shown, last)
	for n, row := range append([][]string{heads}, t.rows...) {
		var cells []string
		for _, i := range shown {
			text := Truncate(row[i], widths[i], "…")
			if t.Columns[i].Right {
				text = strings.Repeat(" ", widths[i]-Width(text)) + text
			}
			cells = append(cells, Pad(text, widths[i]))
		}
		line := strings.TrimRight(strings.Join(cells, gap), " ")
		if width > 0 {
			line = Truncate(line, width, "…")
		}
		if below && n > 0 && row[last] != "" {
			line += "\n" + gap + Cut(row[last], width-len(gap))
		}
		lines = append(lines, line)
	}
	return lines
}

// fit returns the columns that fit the width, and first shortens widths.
func (t *Table) fit(widths []int, width int) (shown []int) {
	for i, n := range widths {
		if n > 0 {
			shown = append(shown, i)
		}
	}
	for width > 0 {
		over := -len(gap) - width
		for _, i := range shown {
			over += len(gap) + widths[i]
		}
		drop := -1
		for n, i := range shown {
			c := &t.Columns[i]
			if over > 0 && c.Least > 0 {
				less := min(over, max(0, widths[i]-c.Least))
				widths[i] -= less
				over -= less
			}
			if c.Rank > 0 && (drop < 0 || c.Rank > t.Columns[shown[drop]].Rank) {
				drop = n
			}
		}
		if over <= 0 || drop < 0 {
			break
		}
		shown = slices.Delete(shown, drop, drop+1)
	}
	return shown
}
