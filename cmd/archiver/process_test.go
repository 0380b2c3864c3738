package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// interrupt is what a container engine sends first.
const interrupt = syscall.SIGTERM

// freeAddress returns a loopback address that no process listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// get returns the status of a page, 0 if no server answers.
func get(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestInterruptedBackfill interrupts a slow backfill: it ends with 130, and
// the next one finishes what it began.
func TestInterruptedBackfill(t *testing.T) {
	t.Parallel()
	data := generated(t, 10, 10_000, 3)
	api, slow := simulator(t, data)
	in := install(t, slow.URL)
	r := &recorder{next: api, asked: make(map[string]bool), run: make(map[string]bool)}
	web := newServer(t, r)
	in.env = append(in.env, "ARCHIVER_ENDPOINT="+web)

	cmd := in.command(nil, "backfill", "--from", "2026-03-29", "--to", "2026-03-30")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	r.begin(20)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.arm(func() { _ = cmd.Process.Signal(syscall.SIGINT) })
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("interrupted backfill: %v, want exit %d\n%s", err, exitInterrupted, errs.String())
	}
	if !strings.Contains(errs.String(), "interrupted, progress is kept") {
		t.Errorf("standard error: %s", errs.String())
	}
	if outcome := queryValue[string](in, `SELECT outcome FROM runs`); outcome != "interrupted" {
		t.Errorf("the run's outcome is %s", outcome)
	}
	r.begin(0)
	in.backfill()
	// What was in hand was kept: nothing is asked for twice but what was under
	// way when the signal came.
	if r.again > killWorkers {
		t.Errorf("%d pages were asked for again", r.again)
	}
	if n := queryValue[int64](in, `SELECT count(*) FROM invocations`); n != 10_000 {
		t.Errorf("%d rows, want 10000", n)
	}
}

// In the first minutes of a day, the last hour of yesterday has not settled: the demo takes
// the day before.
func TestDemoDay(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"2026-11-29T00:09:59Z": "2026-11-27", "2026-11-29T00:10:00Z": "2026-11-28", "2026-11-29T23:59:59Z": "2026-11-28",
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if day := demoDay(now).Format(time.DateOnly); day != want {
			t.Errorf("at %s the demo archives %s, want %s", at, day, want)
		}
	}
}

// TestDemo runs the demo twice, once to its end and once interrupted: neither
// leaves a PostgreSQL behind, and what the first archived can be opened.
func TestDemo(t *testing.T) {
	t.Parallel()
	in := &installation{t: t, env: []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "ARCHIVER_LOG_LEVEL=error"}}
	dir := filepath.Join("..", "..", ".archiver", "demo-test-"+strconv.Itoa(os.Getpid()))
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})

	code, stdout, stderr := in.run(nil, "demo", "--dir", dir, "--functions", "12")
	if code != exitDone {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	for _, part := range []string{"288 of 288 windows complete", "33600 new", "FAILED %", "slowest", "busiest hours", "demo --psql --dir"} {
		if !strings.Contains(stdout, part) {
			t.Errorf("the demo does not print %q:\n%s", part, stdout)
		}
	}
	report := filepath.Join(dir, "demo", "report.html")
	if !strings.Contains(stdout, report+"\n") {
		t.Errorf("the demo does not say that its report is %s:\n%s", report, stdout)
	}
	page, err := os.ReadFile(report)
	for _, part := range []string{"Every hour that is due is archived.", "33,600", "288", "failures", ` in all, at most `} {
		if !strings.Contains(string(page), part) {
			t.Errorf("the report does not say %q, %v", part, err)
		}
	}
	noPostgres(t, dir)

	psql := in.command(nil, "demo", "--dir", dir, "--psql")
	psql.Stdin = strings.NewReader("SELECT count(*) FROM invocation_history;\n")
	out, err := psql.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "33600") {
		t.Errorf("psql on the demo: %v\n%s", err, out)
	}
	noPostgres(t, dir)

	cmd := in.command(nil, "demo", "--dir", dir, "--functions", "40")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the demo's PostgreSQL", func() bool {
		_, err := os.Stat(filepath.Join(dir, "demo", "data", "postmaster.pid"))
		return err == nil
	})
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("interrupted demo: %v, want exit %d", err, exitInterrupted)
	}
	noPostgres(t, dir)
}

// noPostgres fails where a server still runs on the demo's folder.
func noPostgres(t *testing.T, dir string) {
	t.Helper()
	data, err := filepath.Abs(filepath.Join(dir, "demo", "data"))
	if err != nil {
		t.Fatal(err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		// A process may end while it is looked at.
		if cwd, err := os.Readlink(p); err == nil && cwd == data {
			t.Errorf("%s still runs in %s at %s", p, data, time.Now().Format(time.TimeOnly))
		}
	}
}
