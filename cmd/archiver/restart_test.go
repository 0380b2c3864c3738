package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
