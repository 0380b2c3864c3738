package pg

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
	"archiver/internal/pgserver/pgtest"
)

// Who keeps a session waiting for a lock is said once, also of advisory locks.
func TestLockWaits(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	url := pgtest.Database(t)
	db, err := Open(t.Context(), url, 4, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	holder, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Release()
	if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_lock(7), set_config('application_name', 'neighbour', false)`); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := db.Pool.Exec(t.Context(), `SELECT pg_advisory_lock(7)`)
		waited <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for waits := 0; waits == 0 && ctx.Err() == nil; {
		found, err := db.lockWaits(ctx)
		if err != nil {
			t.Fatal(err)
		}
		waits = len(found)
	}
	clock := clocktest.New(time.Now())
	watching, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); db.WatchLocks(watching, clock) }()
	for range 3 {
		if err := clock.AwaitSleeper(ctx, clock.Now().Add(longWait)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(longWait)
	}
	if err := clock.AwaitSleeper(ctx, clock.Now().Add(longWait)); err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
	if said := log.String(); strings.Count(said, "waits for a lock (advisory)") != 1 || !strings.Contains(said, "(neighbour)") {
		t.Errorf("the log says %s", said)
	}
	if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_unlock(7)`); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
