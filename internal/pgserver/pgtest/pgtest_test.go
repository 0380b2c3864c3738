package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// helperEnv makes the test binary a program that starts its cluster, reports its
// folder, and waits to be killed.
const helperEnv = "PGTEST_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		if _, err := start(); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(folder)
		select {}
	}
	Main(m)
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may have done so
	return conn
}

func TestDatabasesAtOnce(t *testing.T) {
	t.Parallel()
	const n = 12
	urls := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { urls[i] = Database(t) })
	}
	all.Wait()
	for _, url := range urls {
		conn := connect(t, url)
		var relations int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").Scan(&relations)
		if err != nil || relations != 0 {
			t.Errorf("a fresh database holds %d relations, %v", relations, err)
		}
		if _, err := conn.Exec(t.Context(), "CREATE TABLE t (n int)"); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(urls)
	if got := len(slices.Compact(urls)); got != n {
		t.Errorf("%d databases for %d tests", got, n)
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("a test", func(t *testing.T) {
		url = Database(t)
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		// The open connection does not prevent the drop.
		if err := conn.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	_, err := pgx.Connect(t.Context(), url)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "3D000" { // invalid_catalog_name
		t.Errorf("connect to the database of a test that is over: %v", err)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(self)
	cmd.Env = append(os.Environ(), helperEnv+"=1", serverEnv+"=")
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
	left := strings.TrimSpace(line)
	home := filepath.Dir(left)
	if err := removeLeftovers(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Fatalf("the folder of a living process: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "killed" is no news
	if err := removeLeftovers(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	// Another package's tests may be removing it.
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(left); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("the folder of a killed process, %s, is still there", left)
		case <-tick.C:
		}
	}
}

func BenchmarkDatabase(b *testing.B) {
	Database(b) // the cluster's start is not what is measured
	for b.Loop() {
		Database(b)
	}
}
