package configfile

import (
	"fmt"

	"archiver/internal/terminal"
)

// A Place is a position in a file. Lines and columns count from 1; a line of 0
// means the file as a whole.
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

// A Mistake is an error in a file, with its place.
type Mistake struct {
	At   Place
	Text string
}

func (m *Mistake) Error() string { return m.At.String() + ": " + m.Text }

// Mistakef makes a mistake at this place. Its text is safe to print.
func (p Place) Mistakef(format string, args ...any) error {
	return &Mistake{At: p, Text: terminal.Line(fmt.Sprintf(format, args...))}
}
