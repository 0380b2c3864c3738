package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver/pgtest"
)

// pgbouncer is the address of a database through a PgBouncer of the test's own.
func pgbouncer(t *testing.T, database, settings string) string {
	t.Helper()
	behind, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	// A socket in a folder of its own: a free port may be taken before PgBouncer has it.
	folder, err := os.MkdirTemp("", "pooler-") // a path in t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o777); err != nil { // PgBouncer runs as another user
		t.Fatal(err)
	}
	password, _ := behind.User.Password()
	config := filepath.Join(folder, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s password='%s'\n\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n"+
		"unix_socket_dir = %s\nauth_type = any\n%s\n", behind.Hostname(), behind.Port(), behind.User.Username(), password, folder, settings)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not on everyone's PATH
	}
	args := []string{config}
	if os.Getuid() == 0 {
		args = []string{"-u", "nobody", config} // it does not run as root
	}
	cmd := exec.Command(program, args...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start pgbouncer (make test installs it): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	pooled := *behind
	pooled.Host, pooled.RawQuery = "", url.Values{"host": {folder}, "port": {"6432"}}.Encode()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		conn, err := pgx.Connect(ctx, pooled.String())
		if err == nil {
			err = conn.Close(ctx)
		}
		if err == nil {
			tick.Stop()
			return pooled.String()
		}
		select {
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // before the log is read
			t.Fatalf("pgbouncer does not answer: %v\n%s", err, log.String())
		case <-tick.C:
		}
	}
}

// PgBouncer works in session mode as it is installed, and also if it gives sessions on as
// other clients have left them. In transaction mode it is refused.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for name, settings := range map[string]string{"as installed": "pool_mode = session", "not reset": "pool_mode = session\nserver_reset_query ="} {
		pooled := pgbouncer(t, url, settings)
		leaves(t, pooled)
		if _, err := MigrateUp(t.Context(), pooled); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		db, err := Open(t.Context(), pooled, 2, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var windows int
		var path string
		err = db.Pool.QueryRow(t.Context(), `SELECT count(*), current_setting('search_path') FROM windows`).Scan(&windows, &path)
		if err != nil || windows != 0 || !strings.HasPrefix(path, "archiver_internal, ") {
			t.Errorf("%s: %d windows, search_path is %s, %v", name, windows, path, err)
		}
		db.Close()
	}
	for name, settings := range map[string]string{
		"transaction": "pool_mode = transaction", "in turn": "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 3",
		"one session": "pool_mode = transaction\ndefault_pool_size = 1", "statement": "pool_mode = statement",
		// Its other clients take processes and give them back all the time.
		"busy": "pool_mode = transaction\ndefault_pool_size = 3", "busy in turn": "pool_mode = transaction\ndefault_pool_size = 3\nserver_round_robin = 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pooled := pgbouncer(t, url, settings)
			opens := 1
			if strings.HasPrefix(name, "busy") {
				opens = 10
				defer neighbours(t, pooled)()
			}
			refused(t, pooled, opens)
		})
	}
}

// Two PgBouncers behind a load balancer, which gives the connections to them in turn, are
// what one of them is. Each connection is proven: the mode may have changed since the first.
func TestBalancedPgBouncers(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if _, err := MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	session := pgbouncer(t, url, "pool_mode = session")
	db, err := Open(t.Context(), balanced(t, session, pgbouncer(t, url, "pool_mode = session")), 2, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	transaction := pgbouncer(t, url, "pool_mode = transaction")
	both := balanced(t, transaction, pgbouncer(t, url, "pool_mode = transaction"))
	if db, err := Open(t.Context(), both, 2, slog.New(slog.DiscardHandler)); !errors.Is(err, errTransactionMode) {
		t.Errorf("two poolers in transaction mode: %v", err)
		db.Close()
	}
	db, err = Open(t.Context(), balanced(t, session, session, transaction), 2, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if conn, err := db.Pool.Acquire(t.Context()); !errors.Is(err, errTransactionMode) {
		t.Errorf("the second connection leads to a pooler in transaction mode: %v", err)
		conn.Release()
	}
}

// refused opens a database so many times at once, and expects that it is refused.
func refused(t *testing.T, pooled string, opens int) {
	t.Helper()
	var all sync.WaitGroup
	for range opens {
		for what, open := range map[string]func() error{
			"open": func() error {
				db, err := Open(t.Context(), pooled, 2, slog.New(slog.DiscardHandler))
				if err == nil {
					db.Close()
				}
				return err
			},
			"migrate": func() error { _, err := MigrateUp(t.Context(), pooled); return err },
		} {
			all.Go(func() {
				if err := open(); !errors.Is(err, errTransactionMode) || !strings.Contains(err.Error(), "a pooler in transaction mode") {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
	}
	all.Wait()
}

// balanced is the address of poolers to which the connections are given in turn.
func balanced(t *testing.T, poolers ...string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	pooled, err := url.Parse(poolers[0])
	if err != nil {
		t.Fatal(err)
	}
	pooled.Host, pooled.RawQuery = l.Addr().String(), "sslmode=disable"
	go func() {
		for n := 0; ; n++ {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				behind, err := url.Parse(poolers[n%len(poolers)])
				if err != nil {
					return
				}
				to, err := net.Dial("unix", filepath.Join(behind.Query().Get("host"), ".s.PGSQL.6432"))
				if err != nil {
					return
				}
				defer to.Close()
				go func() {
					_, _ = io.Copy(to, from)
					_ = to.Close()
				}()
				_, _ = io.Copy(from, to)
			}()
		}
	}()
	return pooled.String()
}

// neighbours are clients that send one short statement after the other, until they are
// stopped.
func neighbours(t *testing.T, pooled string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 6 {
		conn, err := pgx.Connect(ctx, pooled)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for ctx.Err() == nil {
				_, _ = conn.PgConn().Exec(ctx, "SELECT 1").ReadAll() // the last one is canceled
			}
			_ = conn.Close(context.Background())
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// leaves lets another client leave a session behind.
func leaves(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `
		SET search_path = pg_temp; SET client_encoding = LATIN1; SET default_transaction_read_only = on;
		CREATE TEMP TABLE windows (n integer); INSERT INTO windows VALUES (1);
		PREPARE stmtcache_1 AS SELECT 1; SELECT pg_advisory_lock(1)`)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}
