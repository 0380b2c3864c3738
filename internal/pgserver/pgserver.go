// Package pgserver runs a private PostgreSQL cluster: one server of this
// process's own, in a folder of its own, on a free loopback port, gone when the
// process is gone. The demo and all tests work on one, so that neither needs a
// database to be set up first.
//
// What a folder handed to [Start] holds:
//
//	lock          held (flock) by the process that uses the cluster
//	password      of the superuser "archiver", 0600
//	postgres.log  what the server says, all runs
//	data/         the cluster, 0700, owned by the user the server runs as
//
// PostgreSQL refuses to run as root. Started by root, the server runs as the
// user "postgres", or "nobody" where there is none; only data/ belongs to that
// user, so nothing root writes goes through a folder someone else controls.
// Where that user cannot reach the folder (a checkout under /root, say), data/
// goes to a folder under [os.TempDir] whose name follows from the path: the
// next start finds the same one again.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

const (
	superuser = "archiver" // the cluster's superuser, and whom URL logs in as
	database  = "archiver" // the database URL names
	host      = "127.0.0.1"
)

// Options say where a cluster lives and how it is run.
type Options struct {
	// Dir is the folder of the cluster; created if absent. A cluster found
	// there is started again. Server binaries that had to be fetched are kept
	// next to it, in a folder "postgresql" shared by all clusters there.
	Dir string
	// Fast gives up durability for speed: fsync, synchronous_commit and
	// full_page_writes are off. For tests.
	Fast bool
	// InMemory keeps the data in /dev/shm if that is a file system in memory with
	// 4 GiB free: making a cluster or a database there takes a third of the time.
	// They are lost with a reboot. For tests.
	InMemory bool
	// Settings are further server settings; they win over this package's own.
	Settings map[string]string
	// Log gets a line when binaries are fetched, a cluster is made, or it lives
	// elsewhere than in Dir. Nil: nowhere.
	Log *slog.Logger
}

// Server is a running cluster.
type Server struct {
	dir      string
	bins     binaries
	port     int
	password string
	lock     *dirLock
	pm       *postmaster
	stop     func() error
}

// Start makes the cluster of o.Dir if there is none, starts it and returns once
// it answers. The context bounds Start alone: the server runs until
// [Server.Stop], or until this process is gone. A folder another server is
// using is refused with [ErrInUse].
func Start(ctx context.Context, o Options) (*Server, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	bins, err := ensureBinaries(ctx, filepath.Join(filepath.Dir(dir), "postgresql"), log)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, dir, o, bins, log)
	if err != nil {
		return nil, fmt.Errorf("start a private PostgreSQL server in %s: %w", o.Dir, err)
	}
	return s, nil
}

func start(ctx context.Context, dir string, o Options, bins binaries, log *slog.Logger) (_ *Server, err error) {
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir, as); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.release())
		}
	}()

	c := &cluster{dir: dir, bins: bins, as: as, fast: o.Fast, inMemory: o.InMemory, log: log}
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	pm, port, err := c.launch(ctx, o.Settings)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bins: bins, port: port, password: c.password, lock: lock, pm: pm}
	s.stop = sync.OnceValue(s.shutdown)
	if err := createDatabase(ctx, s.url("postgres"), database); err != nil {
		pm.kill()
		return nil, err
	}
	return s, nil
}

// URL is how to connect: database "archiver", which the first start created, as
// the cluster's superuser. It carries the password.
func (s *Server) URL() string { return s.url(database) }

func (s *Server) url(db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort(host, strconv.Itoa(s.port)),
		Path:     "/" + db,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Psql is a psql session on URL's database with args added; the caller sets its
// standard streams and runs it. The password goes through the environment,
// never through a command line. With no psql on this machine, running the
// command fails with [exec.ErrNotFound].
func (s *Server) Psql(ctx context.Context, args ...string) *exec.Cmd {
	name := filepath.Join(s.bins.dir, "psql")
	if !isFile(name) {
		name = "psql"
	}
	cmd := exec.CommandContext(ctx, name, args...)
	// A PGSERVICE or PGOPTIONS of the caller's shell must not lead elsewhere.
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PG") && !strings.HasPrefix(kv, "LD_LIBRARY_PATH=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env,
		"PGHOST="+host,
		"PGPORT="+strconv.Itoa(s.port),
		"PGUSER="+superuser,
		"PGDATABASE="+database,
		"PGPASSWORD="+s.password,
		"PGSSLMODE=disable",
	)
	if s.bins.libs != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+s.bins.libs)
	}
	return cmd
}

// Stop shuts the server down (fast: sessions are ended, their open transactions
// rolled back), waits until its process is gone and gives the folder free.
// Further calls return what the first one did. A server that had ended before
// is an error: nobody had asked it to.
func (s *Server) Stop() error { return s.stop() }

func (s *Server) shutdown() error {
	err := s.pm.stop()
	if err != nil {
		err = fmt.Errorf("stop the PostgreSQL server in %s: %w", s.dir, err)
	}
	return errors.Join(err, s.lock.release())
}
