package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestReport writes the status page over an old file. If that fails, the old file is
// unchanged.
func TestReport(t *testing.T) {
	t.Parallel()
	data := generated(t, 3, 3_000, 1)
	_, web := simulator(t, data)
	in := installEmpty(t, web.URL)
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	if code, _, stderr := in.run(nil, "report", "--out", file); code != exitIncomplete || !strings.Contains(stderr, "archiver migrate up") {
		t.Errorf("of an empty database: exit %d, %s", code, stderr)
	}
	in.backfill()
	if err := os.WriteFile(file, []byte("an earlier one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(file, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	// A link where an earlier version wrote first, and a link in place of a report.
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.html")
	for _, name := range []string{file + ".part", link} {
		if err := os.Symlink(precious, name); err != nil {
			t.Fatal(err)
		}
	}
	if code, stdout, stderr := in.run(nil, "report", "--out", link); code != exitDone || stdout+stderr != "" {
		t.Fatalf("over a link: exit %d\n%s%s", code, stdout, stderr)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, pipe+".link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, pipe + ".link", dir, "/dev/report.html"} {
		if code, _, stderr := in.run(nil, "report", "--out", name); code != exitUsage || !strings.Contains(stderr, name+" is not a regular file") {
			t.Errorf("over %s: exit %d, %s", name, code, stderr)
		}
	}
	if code, _, stderr := in.run(nil, "report", "--out", filepath.Join(dir, "missing", "report.html")); code != exitUsage || !strings.Contains(stderr, "missing") {
		t.Errorf("into a folder that is not there: exit %d, %s", code, stderr)
	}
	if code, stdout, stderr := in.run(nil, "report", "--out", file); code != exitDone || stdout+stderr != "" {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(data.Functions(), "Every hour that is due is archived.", "3,000 in all", "</html>") {
		if !strings.Contains(string(page), part) {
			t.Errorf("the report does not say %q", part)
		}
	}
	for _, secret := range []string{testSecretKey, testAccessKey, in.database} {
		if strings.Contains(string(page), secret) {
			t.Errorf("the report has %s in it", secret)
		}
	}
	if kept, err := os.ReadFile(precious); err != nil || string(kept) != "precious" {
		t.Errorf("the target of the links has %q, %v", kept, err)
	}
	for name, mode := range map[string]os.FileMode{file: 0o600, link: 0o666 &^ umask(t)} {
		if info, err := os.Lstat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s has the mode %s, want %s, %v", name, info.Mode(), mode, err)
		}
	}
	if info, err := os.Stat(file); err != nil || os.Geteuid() == 0 && info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("the report has another owner, %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Errorf("the folder of the report has %v, %v", left, err)
	}
}

// umask is what new files of this process lack.
func umask(t *testing.T) os.FileMode {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, mask, _ := strings.Cut(string(status), "Umask:\t")
	mask, _, _ = strings.Cut(mask, "\n")
	n, err := strconv.ParseUint(mask, 8, 32)
	if err != nil {
		t.Fatal(err)
	}
	return os.FileMode(n)
}

// TestDemoServes serves the demo's page until Ctrl-C, which is not a failure.
func TestDemoServes(t *testing.T) {
	t.Parallel()
	in := &installation{t: t, env: []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "ARCHIVER_LOG_LEVEL=error"}}
	dir := filepath.Join("..", "..", ".archiver", "demo-serve-test-"+strconv.Itoa(os.Getpid()))
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	cmd := in.command(nil, "demo", "--dir", dir, "--functions", "2", "--serve")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	lines := bufio.NewScanner(out)
	for address == "" && lines.Scan() {
		_, address, _ = strings.Cut(lines.Text(), "The status page is up until Ctrl-C: ")
	}
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "Every hour that is due is archived.") {
		t.Errorf("the page: %d, %v\n%s", resp.StatusCode, err, page)
	}
	if got := get(address + "/elsewhere"); got != http.StatusNotFound {
		t.Errorf("elsewhere: %d", got)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo at Ctrl-C: %v", err)
	}
	noPostgres(t, dir)
}
