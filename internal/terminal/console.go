// Package terminal prints: lines and tables of text that others wrote, and the
// progress bar of a run.
//
//	text.go      hostile text made harmless, measured and cut
//	table.go     tables
//	console.go   standard error, shared by a bar and the log
//	bar.go       the progress bar
//	meter.go     rates
//	progress.go  the progress of a run, by a bar or in the log
package terminal

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// A Console is standard error, shared by a progress bar and those who write
// lines. While a bar is drawn, lines go above the bar.
type Console struct {
	to io.Writer

	mu    sync.Mutex
	above io.Writer // the bar's; nil while no bar is drawn
}

// NewConsole returns the console that writes to a terminal or a file.
func NewConsole(to io.Writer) *Console { return &Console{to: to} }

// Write writes whole lines.
func (c *Console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.above != nil {
		if n, err := c.above.Write(b); err == nil {
			return n, nil
		}
	}
	return c.to.Write(b)
}

// draw makes later lines go to above; nil ends that.
func (c *Console) draw(above io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.above = above
}

// file returns the terminal that w writes to, nil if w is no terminal.
func file(w io.Writer) *os.File {
	if c, ok := w.(*Console); ok {
		w = c.to
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// Is reports whether w writes to a terminal.
func Is(w io.Writer) bool { return file(w) != nil }

// Columns returns the width of the terminal that w writes to, 0 if w is no
// terminal.
func Columns(w io.Writer) int {
	f := file(w)
	if f == nil {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
