package main

import (
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"archiver/internal/archive"
)

const (
	leastWidth = 80 // of a table; a request id alone takes 36
	leastError = 30 // of the column of errors; where it is less, each stands below its line
	mostStatus = 8  // ours have 7 at most; with 9 a request id would be cut
	gap        = "  "
)

// widthOf is how wide a table may be: as the terminal, or as COLUMNS says.
func widthOf(w io.Writer) int {
	width, _ := strconv.Atoi(os.Getenv("COLUMNS")) // 0 where it says nothing
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = columns
		}
	}
	return max(width, leastWidth)
}

// tablePrinter writes a table once all of its lines are there.
type tablePrinter struct {
	out   io.Writer
	width int
	rows  []tableRow
}

// A tableRow is a line, its texts printable.
type tableRow struct {
	start, status, seconds, id, err string

	lasted float64 // seconds; NaN where that is not known
}

func (p *tablePrinter) show(inv archive.Invocation) error {
	row := tableRow{start: "-", status: cut(inv.Status, mostStatus), id: printable(inv.RequestID), err: inv.ErrorMessage, lasted: math.NaN()}
	if !inv.Start.IsZero() {
		row.start = inv.Start.UTC().Format(time.RFC3339)
	}
	if !inv.Start.IsZero() && !inv.End.IsZero() {
		row.lasted = inv.End.Sub(inv.Start).Seconds()
	}
	if inv.ErrorCode != "" {
		row.err = inv.ErrorCode + " " + row.err
	}
	row.err = cut(row.err, p.width)
	p.rows = append(p.rows, row)
	return nil
}

// end writes the table. It is no wider than it may be: long errors are cut.
func (p *tablePrinter) end(bool) error {
	if len(p.rows) == 0 {
		return nil
	}
	p.count()
	rows := append([]tableRow{{start: "START", status: "STATUS", seconds: "SECONDS", id: "REQUEST ID"}}, p.rows...)
	var start, status, seconds, id int
	failed := false
	for i := range rows {
		row := &rows[i]
		start = max(start, cells.StringWidth(row.start))
		status = max(status, cells.StringWidth(row.status))
		seconds = max(seconds, cells.StringWidth(row.seconds))
		id = max(id, cells.StringWidth(row.id))
		failed = failed || row.err != ""
	}
	left := p.width - start - status - seconds - 3*len(gap)
	id = min(id, left)
	left -= id + len(gap)
	beside := failed && left >= leastError
	if beside {
		rows[0].err = "ERROR"
	}
	var b strings.Builder
	for _, row := range rows {
		line := padded(row.start, start) + gap + padded(row.status, status) + gap +
			strings.Repeat(" ", seconds-cells.StringWidth(row.seconds)) + row.seconds + gap + padded(cut(row.id, id), id)
		if beside {
			line += gap + cut(row.err, left)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if !beside && row.err != "" {
			b.WriteString(gap + cut(row.err, p.width-len(gap)) + "\n")
		}
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}

// count writes down how long each took: to the millisecond where one of them did
// not take whole seconds.
func (p *tablePrinter) count() {
	decimals := 0
	for i := range p.rows {
		if lasted := p.rows[i].lasted; !math.IsNaN(lasted) && lasted != math.Trunc(lasted) {
			decimals = 3
		}
	}
	for i := range p.rows {
		row := &p.rows[i]
		row.seconds = "-"
		if !math.IsNaN(row.lasted) {
			row.seconds = strconv.FormatFloat(row.lasted, 'f', decimals, 64)
		}
	}
}
