// Package pg connects to the PostgreSQL database of the archive: the pool, sessions
// of their own, the lock that shows that this process is alive, the order of locks,
// and what all statements share to read their rows.
package pg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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

// connectTimeout is how long a server may take to answer, unless the address sets
// another timeout.
const connectTimeout = 10 * time.Second

// A DB is one PostgreSQL database with an archive in it. Many goroutines may use a
// DB at once.
type DB struct {
	Pool  *pgxpool.Pool
	Log   *slog.Logger
	Owner int32 // the number of this process in claims

	aliveMu sync.Mutex
	alive   *pgxpool.Conn // holds this process's owner lock
}

// Open connects to the database with at most conns connections, and one more that
// shows that this process is alive. The caller closes the DB.
func Open(ctx context.Context, databaseURL string, conns int, log *slog.Logger, options ...Option) (*DB, error) {
	config, err := configured(databaseURL, options)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(conns) + 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", Address(databaseURL), err)
	}
	db := &DB{Pool: pool, Owner: rand.Int32(), Log: log}
	if err := db.Live(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("connect to %s: %w", Address(databaseURL), err)
	}
	return db, nil
}

// Live makes sure that the session which holds the owner lock exists: a restart of
// the server ends this session.
func (db *DB) Live(ctx context.Context) error {
	db.aliveMu.Lock()
	defer db.aliveMu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if db.alive != nil {
		// Not with ctx: if ctx ended, pgx would close the session.
		ping, stop := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer stop()
		if db.alive.Ping(ping) == nil {
			return nil
		}
		// Close the session before its release: it may still hold the lock.
		if err := db.alive.Conn().Close(ping); err != nil {
			db.Log.Debug("cannot close a session that does not answer", "error", err)
		}
		db.alive.Release()
		db.alive = nil
	}
	conn, err := db.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, OwnerLocks, db.Owner); err != nil {
		conn.Release()
		return fmt.Errorf("say that this process is alive: %w", err)
	}
	db.alive = conn
	return nil
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
		}
		db.Pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
	}
}

// Config reads a database address. Errors do not show the password.
func Config(databaseURL string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		// The error quotes the address, maybe with a password that pgx did not
		// recognize as one. Keep only the words after the quote, and do not wrap
		// the error: its fields hold the whole address.
		said := err.Error()
		said = said[strings.LastIndexByte(said, '`')+1:]
		return nil, errors.New("read the database address" + said)
	}
	params := config.ConnConfig.RuntimeParams
	// Plans must see the days asked for, to leave the other partitions out; a
	// generic plan would lock each of them.
	params["plan_cache_mode"] = "force_custom_plan"
	// No statement runs for long enough to be worth compiling.
	params["jit"] = "off"
	params["timezone"] = "UTC"
	// A process that stops within a commit holds its claims no longer than one
	// that stops elsewhere.
	life := archive.ClaimLife.Milliseconds()
	params["idle_in_transaction_session_timeout"] = fmt.Sprint(life)
	// The same for a machine that vanishes within COPY, where the session is not
	// idle. Ignored on a Unix socket.
	params["tcp_keepalives_idle"] = "15"
	params["tcp_keepalives_interval"] = "10"
	params["tcp_keepalives_count"] = "3"
	params["tcp_user_timeout"] = fmt.Sprint(life)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if params["application_name"] == "" {
		params["application_name"] = "archiver"
	}
	return config, nil
}

// Address is a database address fit to be printed: without user and password.
func Address(databaseURL string) string {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return "(unreadable address)"
	}
	return fmt.Sprintf("%s:%d/%s", config.Host, config.Port, config.Database)
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
	maps.Copy(config.RuntimeParams, settings)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			db.Log.Warn("the database warns", "error", n.Message)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}
