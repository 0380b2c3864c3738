package pgserver

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startHelper runs a process that has started a cluster in dir.
func startHelper(t *testing.T, dir string) (cmd *exec.Cmd, pid int, data string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self)
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test failed before
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "started %d %s", &pid, &data); err != nil {
		t.Fatalf("the helper says %q: %v", line, err)
	}
	return cmd, pid, data
}

func TestKilledStarterLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, pid, data := startHelper(t, dir)
	if !isPostmaster(pid, data) {
		t.Fatalf("process %d does not serve %s", pid, data)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "killed" is no news
	expectGoneWithoutUs(t, pid, data)
	s := startIn(t, dir)
	query(t, s.URL(), "SELECT 'recovered'")
	stop(t, s)
}

func TestStartRightAfterAKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, _, _ := startHelper(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "killed" is no news
	s := startIn(t, dir)
	query(t, s.URL(), "SELECT 'recovered'")
	stop(t, s)
}

func TestStalePIDFile(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := startIn(t, dir)
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 42 AS n")
	exec1(t, s.URL(), "CHECKPOINT") // commits are not waited for here
	data := dataOf(s)
	s.Kill()
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "had already ended: signal: killed") {
		t.Errorf("Stop of a killed server: %v", err)
	}
	name := filepath.Join(data, "postmaster.pid")
	if _, err := os.Stat(name); err != nil {
		t.Fatalf("a killed server leaves its pid file: %v", err)
	}
	s = startIn(t, dir)
	if got := query(t, s.URL(), "SELECT n::text FROM kept"); got != "42" {
		t.Errorf("the table holds %s, want 42", got)
	}
	stop(t, s)

	// The process number now belongs to another process: to this one.
	text := fmt.Sprintf("%d\n%s\n0\n5432\n\n127.0.0.1\n\nready\n", os.Getpid(), data)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s = startIn(t, dir)
	query(t, s.URL(), "SELECT 'started'")
	stop(t, s)
}

// A standby has what its primary had when the primary was killed, and the primary
// comes back where it was.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary := startWith(t, Options{Dir: folder(t), Fast: true, InMemory: true, Settings: map[string]string{"synchronous_commit": "on"}})
	exec1(t, primary.URL(), "CREATE TABLE kept (n int)")
	standby := startWith(t, Options{Dir: folder(t), Fast: true, InMemory: true, StandbyOf: primary})
	exec1(t, primary.URL(), "INSERT INTO kept VALUES (42)")
	exec1(t, primary.URL(), `DO $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_insert_lsn()) LOOP
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
	END $$`)
	primary.Kill()
	if got := query(t, standby.URL(), "SELECT pg_is_in_recovery()::text"); got != "true" {
		t.Errorf("the standby is in recovery: %s", got)
	}
	if got := query(t, standby.URL(), "SELECT pg_promote()::text"); got != "true" {
		t.Errorf("promoted: %s", got)
	}
	exec1(t, standby.URL(), "INSERT INTO kept VALUES (43)")
	if got := query(t, standby.URL(), "SELECT sum(n)::text FROM kept"); got != "85" {
		t.Errorf("the standby has %s, want 85", got)
	}
	if err := primary.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, primary.URL(), "SELECT sum(n)::text FROM kept"); got != "42" {
		t.Errorf("the former primary has %s, want 42", got)
	}
	stop(t, primary)
	stop(t, standby)
}

func TestInterruptedInitdb(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := startWith(t, Options{Dir: dir, Fast: true})
	query(t, s.URL(), "SELECT 'started'")
	stop(t, s)
}
