// Package pg connects to the PostgreSQL database of the archive. It holds what all
// rooms of load share: the pool, sessions outside of the pool, the lock that shows
// that this process is alive, the order of all locks, the migrations, and the
// mapping of rows.
package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
)

// ErrNoSchema is matched if the database has not been migrated.
var ErrNoSchema = errors.New("the database has no archive in it: run archiver migrate up")

// A DB is one PostgreSQL database with an archive in it. Many goroutines may use a
// DB at once.
type DB struct {
	Pool *pgxpool.Pool
	Log  *slog.Logger
	// Schema names the schemas of the archive. Statements need not: each session looks
	// for tables in these schemas alone.
	Schema Schema

	aliveMu sync.Mutex
	alive   *pgxpool.Conn // holds the owner lock
	owner   int32         // the number of this process in claims, while alive holds its lock
}

// Open connects to the database with at most conns connections, and one more that
// shows that this process is alive. The caller closes the DB.
func Open(ctx context.Context, databaseURL string, conns int, log *slog.Logger, options ...Option) (*DB, error) {
	config, sessions, err := configure(databaseURL, options)
	if err != nil {
		return nil, err
	}
	if len(sessions.unused) > 0 {
		log.Warn("the database address has parameters that are not used: " + strings.Join(sessions.unused, ", "))
	}
	config.MaxConns = int32(conns) + 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", Address(databaseURL), err)
	}
	db := &DB{Pool: pool, Log: log}
	if _, err := db.Live(ctx); err != nil {
		db.Close()
		return nil, connectError(databaseURL, err)
	}
	db.Schema = *sessions.schema
	return db, nil
}

// connectError is the error of a connection that could not be made. That of a refused
// database, or of the only host, does without the list of all attempts.
func connectError(databaseURL string, err error) error {
	if config, unread := parse(databaseURL); unread == nil {
		err = archive.Redacted(err, archive.Redactor(config.ConnConfig.Password))
	}
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%s: %w", Address(databaseURL), refused)
	case errors.Is(err, ErrStandby) && !strings.Contains(Address(databaseURL), ","):
		return fmt.Errorf("%s: %w", Address(databaseURL), ErrStandby)
	}
	return fmt.Errorf("connect to %s: %w", Address(databaseURL), err)
}

// Live makes sure that the session which holds the owner lock exists, and returns the
// number of this process in claims. A restart of the server ends this session. Then the
// process gets another number: what it had claimed before is free.
func (db *DB) Live(ctx context.Context) (owner int32, err error) {
	db.aliveMu.Lock()
	defer db.aliveMu.Unlock()
	if ctx.Err() != nil {
		return 0, lost(context.Cause(ctx)) // others waited for an answer until now
	}
	if db.alive != nil {
		// Not with ctx: if ctx ended, pgx would close the session.
		ping, stop := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer stop()
		if db.alive.Ping(ping) == nil {
			return db.owner, nil
		}
		db.endAlive(ping)
	}
	conn, err := db.Pool.Acquire(ctx)
	if err != nil {
		return 0, lost(err)
	}
	owner = rand.Int32()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, OwnerLocks, owner); err != nil {
		conn.Release()
		return 0, fmt.Errorf("say that this process is alive: %w", err)
	}
	db.alive, db.owner = conn, owner
	return owner, nil
}

// Disown makes what this process has claimed free: it does not know what that is.
func (db *DB) Disown(ctx context.Context) {
	db.aliveMu.Lock()
	defer db.aliveMu.Unlock()
	if db.alive != nil {
		ending, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer stop()
		db.endAlive(ending)
	}
}

// endAlive closes the session before its release: it may still hold the lock. aliveMu is
// held.
func (db *DB) endAlive(ctx context.Context) {
	if err := db.alive.Conn().Close(ctx); err != nil {
		db.Log.Debug("cannot close a session that does not answer", "error", err)
	}
	db.alive.Release()
	db.alive = nil
}

// closeTimeout bounds what Close waits for.
const closeTimeout = time.Second

// Close ends all connections. If the database hangs, Close returns after one
// second: a connection with a cancelled statement asks the server for up to 15 s to
// stop the statement. The process ends soon after, and the connections with it.
func (db *DB) Close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		db.aliveMu.Lock()
		defer db.aliveMu.Unlock()
		if db.alive != nil {
			db.alive.Release()
			db.alive = nil
		}
		db.Pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
}

// Session is a connection outside of the pool: its settings and session locks end
// with it. Warnings of the server go to the log. The caller closes the connection.
func (db *DB) Session(ctx context.Context, settings map[string]string) (*pgx.Conn, error) {
	pooled := db.Pool.Config()
	config := pooled.ConnConfig
	if pooled.BeforeConnect != nil {
		if err := pooled.BeforeConnect(ctx, config); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			db.Log.Warn("the database warns", "error", n.Message)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	for name, value := range settings {
		if _, err := conn.Exec(ctx, `SELECT set_config($1, $2, false)`, name, value); err != nil {
			return nil, errors.Join(fmt.Errorf("set %s: %w", name, err), conn.Close(ctx))
		}
	}
	return conn, nil
}
