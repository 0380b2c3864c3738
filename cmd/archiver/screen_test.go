package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
)

// A screen is a real terminal with a process on it, and what it shows.
type screen struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	read chan struct{} // closed when the process has let go of the terminal

	mu      sync.Mutex
	changed chan struct{} // closed at each change
	columns int
	lines   []string // the last one is where the cursor is, unless it was moved up
	row     int
	part    []byte // of a rune
	esc     []byte
	widest  int
	colours int
	bytes   int64
	unknown []string // sequences that this screen does not know
}

// onTerminal starts a command on a terminal with a number of columns.
func (in *installation) onTerminal(t *testing.T, columns int, env []string, args ...string) *screen {
	t.Helper()
	in.raced = true // no test in process draws the bar while an archiver logs
	s := &screen{t: t, cmd: in.command(append([]string{"TERM=xterm-256color"}, env...), args...), columns: columns,
		lines: []string{""}, changed: make(chan struct{}), read: make(chan struct{})}
	tty, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	if err != nil {
		t.Fatal(err)
	}
	s.tty = tty
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended, unless the test failed
		_ = tty.Close()
	})
	go func() {
		defer close(s.read)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			s.take(buf[:n])
			if err != nil { // EIO, once the process is gone
				return
			}
		}
	}()
	return s
}

// take draws bytes. What does not fit into a line goes to the next one, as on a
// terminal.
func (s *screen) take(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += int64(len(b))
	b = append(s.part, b...)
	s.part = nil
	for len(b) > 0 {
		if !utf8.FullRune(b) {
			s.part = b
			break
		}
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case len(s.esc) > 0:
			s.esc = append(s.esc, string(r)...)
			if len(s.esc) > 2 && r >= '@' && r <= '~' {
				s.sequence(string(s.esc[2:len(s.esc)-1]), r)
				s.esc = nil
			}
		case r == '\x1b':
			s.esc = []byte{'\x1b'}
		case r == '\r':
		case r == '\n':
			if s.row++; s.row == len(s.lines) {
				s.lines = append(s.lines, "")
			}
		default:
			s.lines[s.row] += string(r)
			s.widest = max(s.widest, runewidth.StringWidth(s.lines[s.row]))
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *screen) sequence(arg string, command rune) {
	n, err := strconv.Atoi(arg)
	switch {
	case command == 'A' && err == nil:
		s.row = max(0, s.row-n)
	case command == 'J' && arg == "":
		s.lines = append(s.lines[:s.row:s.row], "")
	case command == 'm':
		s.colours++
	default:
		s.unknown = append(s.unknown, arg+string(command))
	}
}

// text returns what the screen shows.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// await waits until the screen shows a text.
func (s *screen) await(what string) {
	s.t.Helper()
	s.awaitThat(what, func(text string) bool { return strings.Contains(text, what) })
}

func (s *screen) awaitThat(what string, seen func(text string) bool) {
	s.t.Helper()
	patience := time.After(time.Minute)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if seen(s.text()) {
			return
		}
		select {
		case <-changed:
		case <-s.read:
			if !seen(s.text()) {
				s.t.Fatalf("%q was never seen on\n%s", what, s.text())
			}
			return
		case <-patience:
			s.t.Fatalf("%q did not appear on\n%s", what, s.text())
		}
	}
}

// resize changes the number of columns.
func (s *screen) resize(columns int) {
	s.t.Helper()
	s.mu.Lock()
	s.columns, s.widest = columns, 0
	s.mu.Unlock()
	if err := pty.Setsize(s.tty, &pty.Winsize{Rows: 24, Cols: uint16(columns)}); err != nil {
		s.t.Fatal(err)
	}
}

// press types Ctrl-C.
func (s *screen) press() {
	s.t.Helper()
	if _, err := s.tty.Write([]byte{3}); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the process and returns its exit code.
func (s *screen) end() int {
	s.t.Helper()
	<-s.read
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EIO) {
		s.t.Fatal(err)
	}
	if len(s.unknown) > 0 {
		s.t.Errorf("sequences that not every terminal knows: %q", s.unknown)
	}
	return s.cmd.ProcessState.ExitCode()
}
