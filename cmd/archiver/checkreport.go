package main

import (
	"fmt"
	"io"
	"strings"

	"archiver/internal/terminal"
)

// A checkReport prints a line for each check. Its JSON is that of check --json.
type checkReport struct {
	Checks []checked `json:"checks"`
	Failed int       `json:"failed"`

	out    io.Writer
	source string // that the next lines are about; empty for the process
}

// A checked is one line of a checkReport.
type checked struct {
	Result string `json:"result"` // ok, warn or fail
	Source string `json:"source,omitempty"`
	Check  string `json:"check"`
	Text   string `json:"text"`
}

func (r *checkReport) line(result, what, format string, args ...any) {
	line := checked{strings.ToLower(result), r.source, terminal.Line(what), terminal.Line(fmt.Sprintf(format, args...))}
	r.Checks = append(r.Checks, line)
	if r.source != "" {
		what = r.source + ": " + what
	}
	fmt.Fprintf(r.out, "%-4s  %s: %s\n", result, terminal.Line(what), line.Text)
}

func (r *checkReport) ok(what, format string, args ...any) { r.line("ok", what, format, args...) }

func (r *checkReport) warn(what, format string, args ...any) { r.line("warn", what, format, args...) }

func (r *checkReport) fail(what, format string, args ...any) {
	r.Failed++
	r.line("FAIL", what, format, args...)
}
