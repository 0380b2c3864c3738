package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"archiver/internal/page"
	"archiver/internal/terminal"
)

// TestStatusOnATerminal runs the command on terminals and in pipes: it is as
// wide as the terminal, else 80 columns, and coloured where that is wanted.
func TestStatusOnATerminal(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 30, 3000, 5))
	in := install(t, web.URL)
	in.backfill()
	widest := func(text string) (most int) {
		for line := range strings.SplitSeq(text, "\n") {
			most = max(most, runewidth.StringWidth(regexp.MustCompile("\x1b\\[[0-9;]+m").ReplaceAllString(line, "")))
		}
		return most
	}
	for _, test := range []struct {
		name     string
		env      []string
		args     []string
		coloured bool
	}{
		{name: "a pipe"},
		{name: "a pipe, always", args: []string{"--color", "always"}, coloured: true},
		{name: "a pipe, always by the environment", env: []string{"ARCHIVER_COLOR=always"}, coloured: true},
		{name: "a pipe, always in spite of NO_COLOR", env: []string{"NO_COLOR=1"}, args: []string{"--color=always"}, coloured: true},
	} {
		code, stdout, stderr := in.run(test.env, append([]string{"status"}, test.args...)...)
		if code != exitDone || strings.Contains(stdout, "\x1b") != test.coloured {
			t.Errorf("%s: exit %d\n%s%s", test.name, code, stdout, stderr)
		}
		if n := widest(stdout); n > 80 || !strings.Contains(stdout, "30 functions, 720 of 720 windows complete, 3000 records, 0 in flight, 0 rejected") {
			t.Errorf("%s: %d columns\n%s", test.name, n, stdout)
		}
	}
	for _, test := range []struct {
		columns  int
		env      []string
		args     []string
		coloured bool
	}{
		{columns: 132, coloured: true},
		{columns: 36, coloured: true},
		{columns: 100, env: []string{"NO_COLOR=1"}},
		{columns: 100, env: []string{"TERM=dumb"}},
		{columns: 100, args: []string{"--color=never"}},
	} {
		s := in.onTerminal(t, test.columns, test.env, append([]string{"status"}, test.args...)...)
		if code := s.end(); code != exitDone {
			t.Errorf("exit %d", code)
		}
		if s.widest > test.columns || s.widest < test.columns*3/4 {
			t.Errorf("%d of %d columns are used:\n%s", s.widest, test.columns, s.text())
		}
		if (s.colours > 0) != test.coloured {
			t.Errorf("%d colours with %v %v", s.colours, test.env, test.args)
		}
	}
}

// TestStatusShowsAnotherProcess looks at a backfill that another process is in
// the middle of.
func TestStatusShowsAnotherProcess(t *testing.T) {
	t.Parallel()
	api, _ := simulator(t, generated(t, 12, 20_000, 5))
	g := newGate(api, 20)
	in := install(t, newServer(t, g))
	cmd := in.command(nil, append([]string{"backfill", "--concurrency", "2"}, dayFlags...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-g.held
	waitFor(t, "the backfill to say how far it is", func() bool {
		return queryValue[bool](in, `SELECT EXISTS (SELECT FROM runs WHERE windows_done > 0)`)
	})
	code, stdout, _ := in.run(nil, "status")
	running := regexp.MustCompile(
		`RUNNING backfill of 29 Mar 2026 00:00 to 30 Mar 2026 00:00 [█░]+ \d+ % began .* of 288 windows · [\d,]+ records · \d+ calls · .* records a second · about \d+ \w+ left`)
	if code != exitDone || !running.MatchString(terminal.Line(stdout)) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	_, stdout, _ = in.run(nil, "status", "--json")
	var told page.Status
	if err := json.Unmarshal([]byte(stdout), &told); err != nil {
		t.Fatal(err)
	}
	r := told.Runs[0]
	if r.Outcome != "running" || r.Finished != nil || *r.WindowsPlanned != 288 || *r.WindowsDone < 1 || *r.RecordsDone < 500 || *r.CallsDone < 20 || r.Seen == nil {
		t.Errorf("%s", stdout)
	}
	close(g.opened)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, stdout, _ = in.run(nil, "status"); strings.Contains(stdout, "RUNNING") || !strings.Contains(stdout, "1 backfill") {
		t.Errorf("after it:\n%s", stdout)
	}
}
