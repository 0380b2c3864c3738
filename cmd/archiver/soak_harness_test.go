//go:build soak

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver"
)

// watched is an installation whose pages a recorder sees. Its database is the given
// one, or a new one.
func (s *soak) watched(t *testing.T, database string) (*installation, *recorder) {
	t.Helper()
	r := &recorder{next: s.api, asked: make(map[string]bool), run: make(map[string]bool)}
	web := newServer(t, r)
	if database == "" {
		return install(t, web), r
	}
	return installOn(t, database, web), r
}

// server is a PostgreSQL of the test. It keeps what it has committed when it is killed.
func (s *soak) server(t *testing.T, o pgserver.Options) *pgserver.Server {
	t.Helper()
	o.Fast = true
	if o.Dir == "" {
		o.InMemory = true
		o.Dir = filepath.Join("..", "..", ".archiver", fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:8])))
	}
	if o.Settings == nil {
		o.Settings = make(map[string]string)
	}
	o.Settings["synchronous_commit"] = "on"
	server, err := pgserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Stop() // it may have been killed
		if err := pgserver.Remove(context.Background(), o.Dir); err != nil {
			t.Error(err)
		}
	})
	return server
}

// newDatabase makes a database, and returns its URL.
func newDatabase(t *testing.T, server *pgserver.Server, n int) string {
	t.Helper()
	name := fmt.Sprintf("round_%d", n)
	url := strings.Replace(server.URL(), "/archiver?", "/"+name+"?", 1)
	err := pgserver.Exec(t.Context(), server.URL(), "CREATE DATABASE "+name)
	if err == nil {
		err = pgserver.Exec(t.Context(), url, pgserver.ClosePublic)
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// moment calls back at a random moment of a run that asks for about so many pages.
func (s *soak) moment(r *recorder, pages int, then func()) {
	r.begin(1 + s.random.IntN(max(1, pages)))
	later := time.Duration(s.random.IntN(40)) * time.Millisecond
	r.arm(func() { time.AfterFunc(later, then) })
}

// patiently tries something until it succeeds, for a minute: the database may be
// recovering.
func patiently(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// completeHours is what the archive holds of each hour that it calls complete: the
// number of its records, and a sum over them.
func completeHours(t *testing.T, in *installation) map[string]string {
	t.Helper()
	var hours map[string]string
	patiently(t, "read the complete hours", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, in.database)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		rows, err := conn.Query(ctx, `
			SELECT w.function_urn || ' ' || w.window_start,
			       coalesce(h.records, 0) || ' ' || coalesce(h.sum, 0)
			  FROM window_coverage w
			  LEFT JOIN (SELECT function_urn, window_start, count(*) AS records,
			                    sum(hashtextextended((request_id, status, start_time, end_time, error_message)::text, 0)) AS sum
			               FROM invocation_history GROUP BY 1, 2) h USING (function_urn, window_start)
			 WHERE w.state = 'complete'`)
		if err != nil {
			return err
		}
		hours = make(map[string]string)
		var hour, holds string
		_, err = pgx.ForEachRow(rows, []any{&hour, &holds}, func() error { hours[hour] = holds; return nil })
		return err
	})
	return hours
}

// neverEarly fails if an hour is called complete and does not hold what it holds in the
// calm archive.
func (s *soak) neverEarly(t *testing.T, in *installation) {
	t.Helper()
	for hour, holds := range completeHours(t, in) {
		if s.hours[hour] != holds {
			t.Errorf("%s is called complete and holds %s (records, sum), want %s", hour, holds, s.hours[hour])
		}
	}
}

// same fails unless a disturbed archive is complete, agrees with its source, and equals
// the calm archive.
func (s *soak) same(t *testing.T, in *installation) {
	t.Helper()
	s.neverEarly(t, in)
	code, stdout, stderr := in.run(nil, ofDay("verify")...)
	if want := fmt.Sprintf("%d windows compared, 0 differ", len(s.hours)); code != exitDone || !strings.Contains(stdout, want) {
		t.Errorf("verify: exit %d, want 0 and %q\n%s%s", code, want, stdout, stderr)
	}
	sameArchive(t, s.calm, in)
	runsClosed(t, in)
}

// runsClosed fails unless each run of an archive has ended, those that were killed with an
// error, and one of them completed the day.
func runsClosed(t *testing.T, in *installation) {
	t.Helper()
	open := queryValue[*string](in, `
		SELECT string_agg(r::text, E'\n') FROM runs r
		 WHERE outcome = 'running' OR finished_at IS NULL OR (outcome = 'failed' AND error IS NULL)`)
	if open != nil {
		t.Errorf("runs were left open:\n%s", *open)
	}
	if !queryValue[bool](in, `SELECT EXISTS (SELECT FROM runs WHERE asked_by = 'backfill' AND outcome = 'complete')`) {
		t.Error("no backfill is noted as complete")
	}
}

// ofDay are the arguments of a command for the day.
func ofDay(command string) []string {
	return []string{command, "--from", day.Format(time.DateOnly), "--to", day.AddDate(0, 0, 1).Format(time.DateOnly)}
}

// A started archiver, and what it says.
type started struct {
	*exec.Cmd
	said bytes.Buffer
	done chan struct{} // closed when it has ended
	err  error         // valid after done
}

func start(t *testing.T, in *installation, args ...string) *started {
	t.Helper()
	a := &started{Cmd: in.command(nil, args...), done: make(chan struct{})}
	a.Stdout, a.Stderr = &a.said, &a.said
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(a.done)
		a.err = a.Wait()
	}()
	t.Cleanup(func() { _ = a.Process.Kill() }) // if the test failed before
	return a
}

// ended waits for the archiver, and reports whether it was killed. Else it must have
// ended well.
func (a *started) ended(t *testing.T) (killed bool) {
	t.Helper()
	<-a.done
	if status, ok := a.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return true
	}
	if a.err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(a.Args[1:], " "), a.err, &a.said)
	}
	return false
}

// reached waits for a random moment of a running archiver. It reports false if the
// archiver ends before.
func (s *soak) reached(r *recorder, a *started, pages int) bool {
	now := make(chan struct{})
	s.moment(r, pages, func() { close(now) })
	select {
	case <-now:
		return true
	case <-a.done:
		return false
	}
}
