package config

import (
	"fmt"

	"archiver/internal/terminal"
)

// A Place is where something stands in a file. Lines and columns count from 1;
// a line of 0 is the file as a whole.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// A Mistake is something wrong in a file.
type Mistake struct {
	At   Place
	Text string
}

func (m *Mistake) Error() string { return m.At.String() + ": " + m.Text }

// Mistakef makes one. What it repeats of the file does nothing to a terminal.
func (p Place) Mistakef(format string, args ...any) error {
	return &Mistake{At: p, Text: terminal.Line(fmt.Sprintf(format, args...))}
}
