package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestPprof takes profiles of a running archiver: it answers where it is asked
// to, and what is being profiled when the command ends is still sent.
func TestPprof(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 2, 100, 1))
	in := install(t, web.URL)
	pages, profiles := freeAddress(t), freeAddress(t)
	cmd := in.command(nil, "run", "--schedule", "0 0 1 1 *", "--listen", pages, "--pprof", profiles)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "archiver run to be ready", func() bool { return get("http://"+pages+"/readyz") == http.StatusOK })
	for url, want := range map[string]int{
		"http://" + profiles + "/debug/pprof/":               200,
		"http://" + profiles + "/debug/pprof/heap":           200,
		"http://" + profiles + "/debug/pprof/goroutine":      200,
		"http://" + profiles + "/":                           404,
		"http://" + pages + "/debug/pprof/":                  404,
		"http://" + pages + "/debug/pprof/goroutine?debug=1": 404,
	} {
		if got := get(url); got != want {
			t.Errorf("GET %s: %d, want %d", url, got, want)
		}
	}
	rebound, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+profiles+"/debug/pprof/heap", nil)
	if err != nil {
		t.Fatal(err)
	}
	rebound.Host = "attacker.example"
	resp, err := http.DefaultClient.Do(rebound)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("under another host's name: %s, %v", resp.Status, err)
	}
	taken := make(chan error, 1)
	go func() {
		profile, err := fetch("http://" + profiles + "/debug/pprof/profile?seconds=600")
		if err == nil && !strings.HasPrefix(profile, "\x1f\x8b") {
			err = errors.New("it is not a gzip file, as profiles are")
		}
		taken <- err
	}()
	waitFor(t, "a profile to be taken", func() bool {
		goroutines, err := fetch("http://" + profiles + "/debug/pprof/goroutine?debug=1")
		return err == nil && strings.Contains(goroutines, "net/http/pprof.sleep")
	})
	if err := cmd.Process.Signal(os.Signal(interrupt)); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Errorf("the profile under way at the end: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("archiver run at SIGTERM: %v\n%s", err, log.String())
	}
}

// fetch reads a page to its end.
func fetch(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// TestNoPprof: without the flag nothing is served.
func TestNoPprof(t *testing.T) {
	t.Parallel()
	_, web := simulator(t, generated(t, 2, 100, 1))
	in := install(t, web.URL)
	address := freeAddress(t)
	cmd := in.command(nil, "run", "--schedule", "0 0 1 1 *", "--listen", address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "archiver run to be ready", func() bool { return get("http://"+address+"/readyz") == http.StatusOK })
	if n := listeners(t, cmd.Process.Pid); n != 1 {
		t.Errorf("archiver run listens on %d addresses, want that of health and status alone", n)
	}
	if err := cmd.Process.Signal(os.Signal(interrupt)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("archiver run at SIGTERM: %v", err)
	}
}

// listeners is how many sockets a process listens on.
func listeners(t *testing.T, pid int) (n int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/", pid)
	open := make(map[string]bool)
	links, err := os.ReadDir(dir + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		// One may be closed while we look.
		if target, err := os.Readlink(dir + "fd/" + link.Name()); err == nil {
			open[target] = true
		}
	}
	const listening, state, inode = "0A", 3, 9
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(dir + "net/" + table)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > inode && f[state] == listening && open["socket:["+f[inode]+"]"] {
				n++
			}
		}
	}
	return n
}
