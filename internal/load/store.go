// Package load keeps the archive in PostgreSQL. It implements archive.Store.
//
// A record's way: [claim.Commit] (commit.go) looks up what the archive has of
// a page's request ids (probe.go), sorts the page into new, changed and
// unchanged rows (classify.go), copies the new and changed ones into their
// partitions (copy.go, partitions.go) and writes the checkpoint beside them
// (windows.go), all in one transaction.
//
// What holds after every commit, and after a crash at any line:
//
//   - one row a request id, over all partitions;
//   - windows.records, .pending and .rejected equal the rows of that window;
//   - a walk's cursor stands after the last page whose rows are there;
//   - nothing was written by a worker that had lost its claim.
package load

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

// ownerLocks is the class of the advisory locks that say which processes are
// alive; the second key is the owner's number.
const ownerLocks = 0x61726368 // "arch"

// ErrNoSchema is matched where the database has not been migrated.
var ErrNoSchema = errors.New("the database has no archive in it: run archiver migrate up")

// connectTimeout is how long a server may take to answer at all, unless the
// address says otherwise.
const connectTimeout = 10 * time.Second

// A Store is the archive in one PostgreSQL database. It is safe for use by
// many goroutines.
type Store struct {
	pool       *pgxpool.Pool
	aliveMu    sync.Mutex
	alive      *pgxpool.Conn // holds this process's owner lock
	owner      int32
	partitions partitions
	writes     *gather[*write]
	claims     *gather[*claim]
	releases   *gather[*claim]
	log        *slog.Logger
}

// Open connects to the database, with at most conns connections beside the one
// that shows that this process is alive. Close it.
func Open(ctx context.Context, databaseURL string, conns int, log *slog.Logger, options ...Option) (*Store, error) {
	config, err := configured(databaseURL, options)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(conns) + 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", Address(databaseURL), err)
	}
	s := &Store{pool: pool, owner: rand.Int32(), log: log}
	s.partitions.days = make(map[time.Time]bool)
	s.writes, s.claims, s.releases = newWrites(s), newClaims(s), newReleases(s)
	if err := s.live(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("connect to %s: %w", Address(databaseURL), err)
	}
	return s, nil
}

// live sees to it that the session which says that this process is alive is
// there: a server that was started anew has cut it off.
func (s *Store) live(ctx context.Context) error {
	s.aliveMu.Lock()
	defer s.aliveMu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.alive != nil {
		// Not by ctx: one that ends would cut the session off.
		ping, stop := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer stop()
		if s.alive.Ping(ping) == nil {
			return nil
		}
		// Closed, and not only given back: it may hold the lock still.
		if err := s.alive.Conn().Close(ping); err != nil {
			s.log.Debug("a session that does not answer is not closed either", "error", err)
		}
		s.alive.Release()
		s.alive = nil
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, ownerLocks, s.owner); err != nil {
		conn.Release()
		return fmt.Errorf("say that this process is alive: %w", err)
	}
	s.alive = conn
	return nil
}

// closing bounds what Close waits for.
const closing = time.Second

// Close ends all connections. It does not wait for long for a database that
// hangs: connections whose statements were cancelled ask it for up to 15 s to
// stop them. Whoever closes a store ends soon, and the connections with it.
func (s *Store) Close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.aliveMu.Lock()
		defer s.aliveMu.Unlock()
		if s.alive != nil {
			s.alive.Release()
		}
		s.pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closing):
	}
}

// Config reads a database address. Its errors do not show the password.
func Config(databaseURL string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		// What this quotes of the address may hold a password that was not
		// made out, so only the words after that are told. Nor is it wrapped:
		// it has the whole address in a field.
		said := err.Error()
		said = said[strings.LastIndexByte(said, '`')+1:]
		return nil, errors.New("read the database address" + said)
	}
	// Plans must see the days asked for, to leave the other partitions out; a
	// generic plan would lock each of them.
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	// Nothing asked here runs for long enough to be worth compiling.
	config.ConnConfig.RuntimeParams["jit"] = "off"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	// A process that is stopped in the middle of a commit holds its claims no
	// longer than one that is stopped elsewhere.
	life := archive.ClaimLife.Milliseconds()
	config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(life)
	// Nor one whose machine is gone, in the middle of COPY too, where a session
	// is not idle. Ignored on a Unix socket.
	config.ConnConfig.RuntimeParams["tcp_keepalives_idle"] = "15"
	config.ConnConfig.RuntimeParams["tcp_keepalives_interval"] = "10"
	config.ConnConfig.RuntimeParams["tcp_keepalives_count"] = "3"
	config.ConnConfig.RuntimeParams["tcp_user_timeout"] = fmt.Sprint(life)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "archiver"
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

// session is a connection of its own, whose settings and locks end with it.
// What the server warns of goes to the log.
func (s *Store) session(ctx context.Context, settings map[string]string) (*pgx.Conn, error) {
	pooled := s.pool.Config()
	config := pooled.ConnConfig
	if pooled.BeforeConnect != nil {
		if err := pooled.BeforeConnect(ctx, config); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	maps.Copy(config.RuntimeParams, settings)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			s.log.Warn("the database warns", "error", n.Message)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

var _ archive.Store = (*Store)(nil)
