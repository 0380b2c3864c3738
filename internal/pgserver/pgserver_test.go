package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// helperEnv makes the test binary a program that starts a cluster in the named
// folder, reports it, and waits to be killed.
const helperEnv = "PGSERVER_TEST_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		helper(dir)
	}
	os.Exit(m.Run())
}

func helper(dir string) {
	s, err := Start(context.Background(), Options{Dir: dir, Fast: true, InMemory: true})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("started", s.pm.cmd.Process.Pid, dataOf(s))
	select {}
}

// folder is a folder for a test's cluster in the checkout, so that the server's user
// reaches it if that user reaches the checkout. pgtest removes those of killed
// tests.
func folder(t *testing.T) string {
	t.Helper()
	home, err := filepath.Abs("../../.archiver")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, fmt.Sprintf("test-%d-%s", os.Getpid(), rand.Text()[:8]))
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func startIn(t *testing.T, dir string) *Server {
	t.Helper()
	return startWith(t, Options{Dir: dir, Fast: true, InMemory: true})
}

func startWith(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() }) // a test that checks the error has stopped it before
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// dataOf is the data folder in the server's command line.
func dataOf(s *Server) string { return s.pm.cmd.Args[2] }

// query returns one value as text.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var v string
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// until polls for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("timed out waiting until %s", what)
		case <-tick.C:
		}
	}
}

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := startIn(t, dir)
	for setting, want := range map[string]string{
		"fsync": "off", "timezone": "UTC", "max_connections": "200", "listen_addresses": "127.0.0.1",
		"unix_socket_directories": "", "server_encoding": "UTF8", "lc_messages": "C",
	} {
		if got := query(t, s.URL(), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	pid, data := s.pm.cmd.Process.Pid, dataOf(s)
	if !isPostmaster(pid, data) {
		t.Errorf("isPostmaster does not find process %d serving %s", pid, data)
	}
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 || owner(info) == 0 {
		t.Errorf("data folder: %v of user %d, %v; want 0700 and not root's", info.Mode(), owner(info), err)
	}
	stop(t, s)
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Stop: %v, want it gone", pid, err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}

	s = startIn(t, dir)
	if got := query(t, s.URL(), "SELECT n::text FROM kept"); got != "42" {
		t.Errorf("the table holds %s, want 42", got)
	}
	stop(t, s)
}

// exec1 runs a statement that returns no rows.
func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Options{Dir: folder(t), Settings: map[string]string{"work_mem": "7MB"}})
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{"fsync": "on", "max_connections": "100", "work_mem": "7MB"} {
		if got := query(t, s.URL(), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	stop(t, s)
}

func TestEarlyExit(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Dir: folder(t), Fast: true, Settings: map[string]string{"work_mem": "plenty"}})
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "work_mem": "plenty"`) {
		t.Errorf("Start: %v, want the error in the server's log", err)
	}
}

func TestCancelledStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Start(ctx, Options{Dir: dir, Fast: true}); err == nil {
		stop(t, s)
		t.Error("Start with a cancelled context succeeded")
	}
	stop(t, startIn(t, dir))
}

func TestPassword(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := startWith(t, Options{Dir: dir, Fast: true})
	info, err := os.Stat(filepath.Join(dir, "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v; want 0600", info, err)
	}
	_, err = pgx.Connect(t.Context(), strings.Replace(s.URL(), s.password, "guess", 1))
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "28P01" { // invalid_password
		t.Errorf("connect with a guessed password: %v", err)
	}
	stop(t, s)
	if err := os.Remove(filepath.Join(dir, "password")); err != nil {
		t.Fatal(err)
	}
	s, err = Start(t.Context(), Options{Dir: dir, Fast: true})
	if filepath.Dir(dataOfDir(dir)) != dir {
		// In another folder, the cluster is deleted with its folder's password.
		if err != nil {
			t.Fatal(err)
		}
		stop(t, s)
		return
	}
	if err == nil || !strings.Contains(err.Error(), "to start afresh") {
		t.Errorf("Start without the password: %v", err)
	}
}

// dataOfDir is the data folder of the cluster in dir.
func dataOfDir(dir string) string {
	if data := filepath.Join(elsewhere(os.TempDir(), dir), "data"); isFile(filepath.Join(data, "PG_VERSION")) {
		return data
	}
	return filepath.Join(dir, "data")
}

func TestPsql(t *testing.T) {
	t.Parallel()
	s := startIn(t, folder(t))
	cmd := s.Psql(t.Context(), "-XAtc", "SELECT current_database() || ' ' || current_user")
	if strings.Contains(strings.Join(cmd.Args, " "), s.password) {
		t.Error("the password is on the command line")
	}
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound): // a machine without the client
	case err != nil || string(out) != "archiver archiver\n":
		t.Errorf("psql: %q, %v", out, err)
	}
	stop(t, s)
}

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := startIn(t, dir)
	_, err := Start(t.Context(), Options{Dir: dir, Fast: true})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("second Start: %v, want ErrInUse and the process", err)
	}
	if err := Remove(t.Context(), dir); !errors.Is(err, ErrInUse) {
		t.Errorf("Remove: %v, want ErrInUse", err)
	}
	query(t, s.URL(), "SELECT 'still there'")
	stop(t, s)
}

func TestOutlivesTheThreadThatAskedForIt(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	got := make(chan *Server, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine
		s, err := Start(context.Background(), Options{Dir: dir, Fast: true})
		if err != nil {
			t.Error(err)
		}
		got <- s
	}()
	s := <-got
	if s == nil {
		return
	}
	for range 20 { // makes other threads start and end
		query(t, s.URL(), "SELECT 'there'")
	}
	stop(t, s)
}

func TestUnreachableFolder(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	if err := os.Chmod(top, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "demo")
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	// The folder that other tests use, so that binaries are downloaded once.
	as, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	bins, err := ensureBinaries(t.Context(), as, "../../.archiver/postgresql", 0, log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t.Context(), &cluster{dir: dir, bins: bins, as: as, fast: true, log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() }) // reported below
	where := filepath.Join(dir, "data")
	if os.Geteuid() == 0 {
		where = filepath.Join(elsewhere(os.TempDir(), dir), "data")
		if !strings.Contains(said.String(), where) {
			t.Errorf("the log does not say that the data are in %s:\n%s", where, &said)
		}
	}
	if got := dataOf(s); got != where {
		t.Errorf("the data are in %s, want %s", got, where)
	}
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	stop(t, s)
	s, err = start(t.Context(), &cluster{dir: dir, bins: bins, as: as, fast: true, log: log})
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, s.URL(), "SELECT n::text FROM kept"); got != "42" {
		t.Errorf("the table holds %s, want 42", got)
	}
	stop(t, s)
	if err := Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{dir, where, elsewhere(os.TempDir(), dir)} {
		if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after Remove: %v, want it gone", gone, err)
		}
	}
}

func TestForeignFallbackIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	other := elsewhere(os.TempDir(), dir)
	if err := errors.Join(os.Mkdir(other, 0o700), os.Chmod(other, 0o777)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(other); err != nil {
			t.Error(err)
		}
	})
	got, err := reachable(t.Context(), dir, &account{"nobody", 65534, 65534})
	if err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a folder anyone can write to: %q, %v; want it refused", got, err)
	}
}

func TestRemoveSparesOtherFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "work")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.Context(), dir); err == nil || !isFile(name) {
		t.Errorf("Remove of a folder with other files in it: %v; want it refused", err)
	}
}
