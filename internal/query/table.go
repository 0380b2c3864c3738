package query

import (
	"cmp"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"archiver/internal/archive"
	"archiver/internal/terminal"
)

const (
	leastWidth = 80 // of a table; a request id alone takes 36
	leastError = 30 // with less room, each error stands on a line of its own
	mostStatus = 8  // ours have 7 at most; with 9 a request id would be cut
)

// tableWidth is the width of the terminal, or of COLUMNS where there is none.
func tableWidth(w io.Writer) int {
	width, _ := strconv.Atoi(os.Getenv("COLUMNS")) // 0 if it is not a number
	return max(cmp.Or(terminal.Columns(w), width), leastWidth)
}

// A tablePrinter prints a table after the last invocation.
type tablePrinter struct {
	out   io.Writer
	width int
	rows  []tableRow
}

// A tableRow is an invocation in the table.
type tableRow struct {
	start, status, id, err string

	seconds float64 // NaN where a time is not known
}

func (p *tablePrinter) show(inv archive.Invocation) error {
	row := tableRow{start: "-", status: terminal.Cut(inv.Status, mostStatus), id: inv.RequestID, err: inv.ErrorMessage, seconds: math.NaN()}
	if !inv.Start.IsZero() {
		row.start = inv.Start.UTC().Format(time.RFC3339)
	}
	if !inv.Start.IsZero() && !inv.End.IsZero() {
		row.seconds = inv.End.Sub(inv.Start).Seconds()
	}
	if inv.ErrorCode != "" {
		row.err = inv.ErrorCode + " " + row.err
	}
	// A message may be a megabyte, and the rows are kept until the end.
	row.err = terminal.Cut(row.err, p.width)
	p.rows = append(p.rows, row)
	return nil
}

func (p *tablePrinter) end(bool) error {
	table := terminal.Table{Below: true, Columns: []terminal.Column{
		{Head: "START"}, {Head: "STATUS"}, {Head: "SECONDS", Right: true}, {Head: "REQUEST ID"}, {Head: "ERROR", Rank: 1, Least: leastError},
	}}
	decimals := p.decimals()
	for _, row := range p.rows {
		seconds := "-"
		if !math.IsNaN(row.seconds) {
			seconds = strconv.FormatFloat(row.seconds, 'f', decimals, 64)
		}
		table.Add(row.start, row.status, seconds, row.id, row.err)
	}
	return table.Write(p.out, p.width)
}

// decimals is how many decimals the column of seconds has: 3, or none if all
// rows have whole seconds.
func (p *tablePrinter) decimals() int {
	for _, row := range p.rows {
		if !math.IsNaN(row.seconds) && row.seconds != math.Trunc(row.seconds) {
			return 3
		}
	}
	return 0
}
