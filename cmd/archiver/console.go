package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// A console is standard error, which a bar and whoever writes lines share: while
// a bar is drawn, lines go above it.
type console struct {
	to io.Writer

	mu    sync.Mutex
	above io.Writer // of the bar; nil while there is none
}

func newConsole(to io.Writer) *console { return &console{to: to} }

// Write writes whole lines.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.above != nil {
		if n, err := c.above.Write(b); err == nil {
			return n, nil
		}
	}
	return c.to.Write(b)
}

// draw has lines written above a bar from now on; nil for none.
func (c *console) draw(above io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.above = above
}

// terminal is the terminal that w writes to, nil where it is none.
func terminal(w io.Writer) *os.File {
	if c, ok := w.(*console); ok {
		w = c.to
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
