package pg

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
	"archiver/internal/pgserver/pgtest"
)

// Who keeps a session waiting for a lock is said once, also of advisory locks, and a role
// that may only read sees who it is. Watching does not touch the owner's session.
func TestLockWaits(t *testing.T) {
	t.Parallel()
	const longer = 50 * time.Millisecond
	var log bytes.Buffer
	address := pgtest.Database(t)
	db, err := Open(t.Context(), address, 4, slog.New(slog.NewTextHandler(&log, nil)))
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
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := db.Session(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.WithoutCancel(ctx))
	role := "reader_" + strings.TrimPrefix(u.Path, "/")
	if _, err := reader.Exec(ctx, `CREATE ROLE `+role+`; SET ROLE `+role); err != nil {
		t.Fatal(err)
	}
	var waits []LockWait
	for len(waits) == 0 && ctx.Err() == nil {
		if waits, err = LockWaits(ctx, reader, longer); err != nil {
			t.Fatal(err)
		}
	}
	if len(waits) != 1 || waits[0].Holder != int32(holder.Conn().PgConn().PID()) || waits[0].Role != u.User.Username() || waits[0].Lock != "advisory" {
		t.Errorf("the reader sees %+v", waits)
	}
	if _, err := reader.Exec(ctx, `RESET ROLE; DROP ROLE `+role); err != nil {
		t.Fatal(err)
	}
	db.aliveMu.Lock() // as while the owner's session does not answer
	clock := clocktest.New(time.Now())
	watching, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); db.WatchLocks(watching, clock, longer) }()
	for range 3 {
		if err := clock.AwaitSleeper(ctx, clock.Now().Add(longer/5)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(longer / 5)
	}
	if err := clock.AwaitSleeper(ctx, clock.Now().Add(longer/5)); err != nil {
		t.Fatal(err)
	}
	db.aliveMu.Unlock()
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
