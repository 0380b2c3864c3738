package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mattn/go-runewidth"
)

// A gate lets a number of pages of invocations through, and holds further pages
// until it is opened.
type gate struct {
	next  http.Handler
	after int

	mu     sync.Mutex
	pages  int
	asked  map[string]bool
	held   chan struct{} // closed when the first page is held
	opened chan struct{}
}

func newGate(next http.Handler, after int) *gate {
	return &gate{next: next, after: after, asked: make(map[string]bool), held: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/async-invocations") {
		g.mu.Lock()
		g.pages++
		g.asked[r.URL.RequestURI()] = true
		hold, first := g.pages > g.after, g.pages == g.after+1
		g.mu.Unlock()
		if first {
			close(g.held)
		}
		if hold {
			select {
			case <-g.opened:
			case <-r.Context().Done():
				return
			}
		}
	}
	g.next.ServeHTTP(w, r)
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pages
}

var dayFlags = []string{"--from", "2026-03-29", "--to", "2026-03-30"}

// TestBarFitsTheTerminal runs a backfill on terminals of several widths. A bar is
// drawn while the backfill runs, and is gone at its end. The bar is never wider than
// the terminal, even if the terminal becomes narrower, and does not break lines of
// the log.
func TestBarFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{24, 40, 80, 160} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			t.Parallel()
			api, _ := simulator(t, generated(t, 12, 8000, 5))
			g := newGate(api, 10)
			in := install(t, newServer(t, g))
			// Lines of the log are wider than some of the terminals. They wrap, and are
			// not cut.
			s := in.onTerminal(t, columns, []string{"ARCHIVER_LOG_LEVEL=error"}, append([]string{"backfill", "--concurrency", "2"}, dayFlags...)...)
			<-g.held
			drawn := regexp.MustCompile(`\d+/288 windows`)
			s.awaitThat("a bar", func(text string) bool { return drawn.MatchString(text) })
			s.mu.Lock()
			if s.widest > columns {
				t.Errorf("%d columns were drawn:\n%s", s.widest, strings.Join(s.lines, "\n"))
			}
			s.mu.Unlock()
			if columns >= 80 && !regexp.MustCompile(`\[[=>-]+\] \d+/288 windows, [\d.k]+ records, [\d.k]+/s, \d+ calls`).MatchString(s.text()) {
				t.Errorf("the bar is\n%s", s.text())
			}
			s.resize(columns / 2)
			narrow := s.bytesRead()
			s.awaitThat("a bar after the resize", func(string) bool { return s.bytesRead() > narrow+500 })
			s.mu.Lock()
			if s.widest > columns { // one drawing may have begun before
				t.Errorf("%d columns were drawn on %d", s.widest, columns/2)
			}
			last := s.lines[max(0, len(s.lines)-2)]
			s.mu.Unlock()
			if runewidth.StringWidth(last) > columns/2 {
				t.Errorf("the last line on %d columns is %q", columns/2, last)
			}
			close(g.opened)
			if code := s.end(); code != exitDone {
				t.Errorf("exit %d", code)
			}
			text := strings.TrimSpace(s.text())
			if !strings.HasPrefix(text, "backfill 2026-03-29T00:00Z/2026-03-30T00:00Z: 288 of 288 windows complete, 12 functions, 8000 new records") || strings.Contains(text, "\n") {
				t.Errorf("on the screen in the end:\n%s", text)
			}
		})
	}
}

func (s *screen) bytesRead() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// TestBarAndLogShareTheScreen logs errors while a bar is drawn: each line of the log
// is printed, and is whole.
func TestBarAndLogShareTheScreen(t *testing.T) {
	t.Parallel()
	api, _ := simulator(t, generated(t, 12, 20_000, 5))
	drawn := make(chan struct{})
	refused := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/async-invocations") && strings.Contains(r.URL.Path, "-00") {
			<-drawn
			http.Error(w, `{"error_code":"FSS.0400","error_msg":"no such luck"}`, http.StatusBadRequest)
			return
		}
		api.ServeHTTP(w, r)
	}))
	in := install(t, refused)
	s := in.onTerminal(t, 100, nil, append([]string{"backfill"}, dayFlags...)...)
	bar := regexp.MustCompile(`\d+/288 windows`)
	s.awaitThat("a bar", func(text string) bool { return bar.MatchString(text) })
	close(drawn)
	if code := s.end(); code != exitIncomplete {
		t.Errorf("exit %d", code)
	}
	lines := 0
	for line := range strings.SplitSeq(s.text(), "\n") {
		switch {
		case strings.HasPrefix(line, "time="):
			if !strings.Contains(line, "span is not complete") {
				continue
			}
			if lines++; !strings.Contains(line, "no such luck") {
				t.Errorf("a line of the log is torn: %s", line)
			}
		case strings.Contains(line, "level="):
			t.Errorf("a line of the log begins within another: %s", line)
		}
	}
	if lines != 9 {
		t.Errorf("%d troubles of 9 are on\n%s", lines, s.text())
	}
}

// TestCtrlC presses Ctrl-C on a real terminal while pages are being read. After the
// first time, these pages are finished and kept, and no other page is asked for.
// After the second time, the command ends at once.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	for _, twice := range []bool{false, true} {
		t.Run(fmt.Sprintf("twice %v", twice), func(t *testing.T) {
			t.Parallel()
			api, _ := simulator(t, generated(t, 12, 20_000, 5))
			g := newGate(api, 20)
			in := install(t, newServer(t, g))
			s := in.onTerminal(t, 80, nil, append([]string{"backfill", "--concurrency", "2", "--function", "*-0*"}, dayFlags...)...)
			<-g.held
			s.press()
			s.await("finishing the pages in hand; Ctrl-C again stops at once")
			if twice {
				s.press() // the page in hand is never answered
				if code := s.end(); code != exitInterrupted {
					t.Errorf("exit %d", code)
				}
				close(g.opened)
				return
			}
			asked := g.count()
			close(g.opened)
			if code := s.end(); code != exitInterrupted {
				t.Errorf("exit %d", code)
			}
			if n := g.count(); n > asked+1 { // a second call may have been on its way
				t.Errorf("%d pages were asked for after Ctrl-C", n-asked)
			}
			for _, want := range []string{
				"hours; to resume: archiver backfill --concurrency 2 --function '*-0*' --from 2026-03-29 --to 2026-03-30",
				"archiver: interrupted, progress is kept",
			} {
				if !strings.Contains(s.text(), want) {
					t.Errorf("%q is not on\n%s", want, s.text())
				}
			}
			if outcome := queryValue[string](in, `SELECT outcome FROM runs`); outcome != "interrupted" {
				t.Errorf("the run's outcome is %s", outcome)
			}
			// The finished pages are not asked for again.
			r := &recorder{next: api, asked: g.asked, run: make(map[string]bool)}
			in.env = append(in.env, "ARCHIVER_ENDPOINT="+newServer(t, r))
			in.backfill()
			if r.again != 0 {
				t.Errorf("%d pages were asked for again", r.again)
			}
		})
	}
}
