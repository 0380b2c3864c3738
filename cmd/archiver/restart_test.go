package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver"
)

// PostgreSQL is killed and restarted three times while a backfill works: the backfill goes
// on, and ends with the archive of a backfill that nothing disturbed.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", ".archiver", "restart-test-"+strconv.Itoa(os.Getpid()))
	server, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir, Fast: true, InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	api, calm := simulator(t, generated(t, 20, 20_000, 7))
	undisturbed := install(t, calm.URL)
	undisturbed.backfill()

	var pages atomic.Int64
	var restarts sync.WaitGroup
	var one sync.Mutex // a server is not killed while it starts
	disturbed := installOn(t, server.URL(), newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/async-invocations") {
			if n := pages.Add(1); n == 10 || n == 40 || n == 70 {
				restarts.Add(1)
				go func() {
					defer restarts.Done()
					one.Lock()
					defer one.Unlock()
					server.Kill()
					if err := server.Restart(t.Context()); err != nil {
						t.Error(err)
					}
				}()
			}
		}
		api.ServeHTTP(w, r)
	})))
	t.Log(disturbed.backfill())
	restarts.Wait()
	if n := queryValue[string](disturbed, `SELECT string_agg(outcome, ' ') FROM runs`); n != "complete" {
		t.Errorf("the runs are %s", n)
	}
	sameArchive(t, undisturbed, disturbed)
}

// PostgreSQL is killed while a command waits for a lock, or while it prints rows: the command
// goes on, leaves the rest to the next pass, or ends with one line that says what happened.
func TestRestartsWithin(t *testing.T) {
	t.Parallel()
	server := ownServer(t, "within", pgserver.Options{})
	_, web := simulator(t, generated(t, 1, 20_000, 7))
	in := installOn(t, server.URL(), web.URL)
	from, to, hour := day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly), day.Add(time.Hour).Format(time.RFC3339)
	const old = `
		CREATE TABLE archiver_days.invocations_20230101 PARTITION OF archiver_days.invocations_dated FOR VALUES FROM ('2023-01-01 00:00Z') TO ('2023-01-02 00:00Z');
		CREATE UNIQUE INDEX ON archiver_days.invocations_20230101 (request_id)`
	const older = `
		CREATE TABLE archiver_days.invocations_20221231 PARTITION OF archiver_days.invocations_dated FOR VALUES FROM ('2022-12-31 00:00Z') TO ('2023-01-01 00:00Z');
		CREATE UNIQUE INDEX ON archiver_days.invocations_20221231 (request_id)`
	for _, row := range []struct {
		name string
		// before is done before. lock is done in a transaction that the kill ends; without it
		// PostgreSQL is killed when the command has printed a line.
		before, lock string
		args         []string
		code         int
		says         string
	}{
		{"migrate", "", `CREATE SCHEMA archiver_internal`, []string{"migrate", "up"}, exitIncomplete, "archiver: the connection to the database was lost: migrate up"},
		{"backfill", "", `CREATE SCHEMA archiver_internal`, []string{"backfill", "--from", from, "--to", to}, exitDone, "24 of 24 windows complete"},
		{"verify", "", `LOCK TABLE archiver_internal.claims`, []string{"verify", "--from", from, "--to", to}, exitDone, " 0 differ"},
		{"query", "", `LOCK TABLE invocations`, []string{"query", "--archived", "--function", "*", "--from", from, "--to", to}, exitIncomplete, "archiver: the connection to the database was lost: select invocations"},
		// A leader of parallel workers may say that it lost them, before it is killed itself. If
		// all rows were sent before, only what follows them fails.
		{"rows", "", "", []string{"query", "--archived", "--json", "--function", "*", "--from", from, "--to", to}, exitIncomplete, "these are not all: the answer ended with an error\narchiver: "},
		// The days are merged or left to the next pass: indexing them, before, waits too.
		{"merge", old, `LOCK TABLE archiver_days.invocations_20230101 IN ROW EXCLUSIVE MODE`, []string{"backfill", "--force", "--from", from, "--to", hour}, exitDone, "2023-01"},
		{"retention", older, `LOCK TABLE archiver_days.invocations_20221231 IN ACCESS SHARE MODE`, []string{"once", "--retention", "200d", "--lookback", "1h"}, exitDone, `"msg":"old days are left"`},
	} {
		if row.before != "" {
			if err := pgserver.Exec(t.Context(), in.database, row.before); err != nil {
				t.Fatal(err)
			}
		}
		holder, err := pgx.Connect(t.Context(), in.database)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := holder.Exec(t.Context(), "BEGIN; "+row.lock); err != nil {
			t.Fatal(err)
		}
		cmd := in.command(nil, row.args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		printed, first := bufio.NewReader(out), ""
		if row.lock == "" {
			first, err = printed.ReadString('\n')
		} else {
			err = await(t.Context(), holder)
		}
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		server.Kill()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = holder.Close(t.Context())
		rest, _ := io.ReadAll(printed)
		_ = cmd.Wait()
		if row.lock == "" && json.Valid(append([]byte(first), rest...)) {
			row.says = "archiver: the connection to the database was lost"
		}
		if code := cmd.ProcessState.ExitCode(); code != row.code || !strings.Contains(string(rest)+errs.String(), row.says) || strings.Count(errs.String(), "archiver: ") > 1 {
			t.Errorf("%s: exit %d, want %d and %q\n%s", row.name, code, row.code, row.says, errs.String())
		}
	}
	if runs := queryValue[string](in, `SELECT string_agg(asked_by || ' ' || outcome, ', ' ORDER BY run_id) FROM runs`); runs != "backfill complete, verify complete, backfill complete, once complete" {
		t.Errorf("the runs are %s", runs)
	}
}

// await waits until a session waits for a lock.
func await(ctx context.Context, conn *pgx.Conn) error {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	for waits := false; !waits; {
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)`).Scan(&waits); err != nil {
			return fmt.Errorf("wait for a session that waits: %w", err)
		}
	}
	return nil
}
