// Package pgserver runs a private PostgreSQL cluster: a server in its own folder,
// on a free loopback port, that ends with this process. The demo and all tests
// use one, so that nobody has to set up a database for them.
//
// A folder given to [Start] holds:
//
//	lock          locked (flock) by the process that uses the cluster
//	password      of the superuser "archiver", 0600
//	postgres.log  the server's log of all runs
//	data/         the cluster, 0700, owned by the user who runs the server
//
// PostgreSQL refuses to run as root. If root starts the server, the user
// "postgres" runs it, or "nobody" if there is no such user. Only data/ belongs to
// that user, so that root writes to no folder that another user controls. If that
// user cannot reach the folder, for example a checkout under /root, data/ lies in
// a folder under [os.TempDir] whose name is derived from the path, so that the
// next start finds it. Clusters of tests have data/ in memory (see
// [Options.InMemory]).
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
	"syscall"
)

const (
	superuser = "archiver" // the cluster's superuser, and the user in URL
	database  = "archiver" // the database in URL
	host      = "127.0.0.1"
)

// Options say where a cluster is and how it runs.
type Options struct {
	// Dir is the folder of the cluster. It is created if it does not exist, and a
	// cluster in it is started again. Downloaded server binaries are kept in the
	// folder "postgresql" next to it, which all clusters there share.
	Dir string
	// Fast turns fsync, synchronous_commit and full_page_writes off: a crash of the
	// machine can destroy the data. For tests.
	Fast bool
	// InMemory keeps the data in /dev/shm if that is a file system in memory with
	// 4 GiB free: making a cluster or a database there takes a third of the time.
	// They are lost with a reboot. For tests.
	InMemory bool
	// Version is the major version of the server, 14 to 18. 0: any that is installed.
	// A version that is not installed is downloaded with npm.
	Version int
	// StandbyOf makes the cluster a streaming standby of this server, by
	// pg_basebackup. Both have the same Version and password. SELECT pg_promote()
	// makes it a primary.
	StandbyOf *Server
	// Settings are further server settings. They override this package's.
	Settings map[string]string
	// Log gets a line when binaries are downloaded, when a cluster is made, and when
	// the server's user cannot reach Dir. Nil: no log.
	Log *slog.Logger
}

// Server is a running cluster.
type Server struct {
	*cluster
	port int
	lock *dirLock
	pm   *postmaster
	stop func() error
}

// Start makes the cluster in o.Dir if there is none, starts it and returns when it
// answers. The context ends Start, not the server: the server runs until
// [Server.Stop] or until this process ends. The error is [ErrInUse] if another
// server uses the folder.
func Start(ctx context.Context, o Options) (*Server, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	bins, err := ensureBinaries(ctx, as, filepath.Join(filepath.Dir(dir), "postgresql"), o.Version, log)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, &cluster{
		dir: dir, bins: bins, as: as, primary: o.StandbyOf, fast: o.Fast, inMemory: o.InMemory, more: o.Settings, log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("start a private PostgreSQL server in %s: %w", o.Dir, err)
	}
	return s, nil
}

func start(ctx context.Context, c *cluster) (_ *Server, err error) {
	if err := makeDir(c.dir, c.as); err != nil {
		return nil, err
	}
	lock, err := lockDir(c.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.release())
		}
	}()

	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	pm, port, err := c.launch(ctx, freePort)
	if err != nil {
		return nil, err
	}
	s := &Server{cluster: c, port: port, lock: lock, pm: pm}
	s.stop = sync.OnceValue(s.shutdown)
	if c.primary != nil { // it has the database
		return s, nil
	}
	err = createDatabase(ctx, s.url("postgres"), database)
	if err == nil {
		err = Exec(ctx, s.URL(), ClosePublic)
	}
	if err != nil {
		pm.kill()
		return nil, err
	}
	return s, nil
}

// Kill ends the server with SIGKILL, as the kernel does if memory runs out: there is no
// checkpoint, and the sessions end as they notice. Kill returns when the process has
// ended. [Server.Restart] starts the server again.
func (s *Server) Kill() {
	s.pm.signal(syscall.SIGKILL)
	<-s.pm.done
}

// Restart starts a server that was killed, on its old port, and returns when it
// answers.
func (s *Server) Restart(ctx context.Context) error {
	pm, _, err := s.launch(ctx, func() (int, error) { return s.port, nil })
	if err != nil {
		return fmt.Errorf("restart the PostgreSQL server in %s: %w", s.dir, err)
	}
	s.pm = pm
	return nil
}

// URL is the address of the database "archiver", which the first start creates,
// for the cluster's superuser. It contains the password.
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

// Psql is a psql command for the database of URL, with args added. The caller sets
// its standard streams and runs it. It gets the password in its environment, never
// on its command line. Without psql on this machine, running the command fails
// with [exec.ErrNotFound].
func (s *Server) Psql(ctx context.Context, args ...string) *exec.Cmd {
	name := filepath.Join(s.bins.dir, "psql")
	if !isFile(name) {
		name = "psql"
	}
	cmd := exec.CommandContext(ctx, name, args...)
	// PGSERVICE or PGOPTIONS of the caller's shell must not change the session.
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

// Stop shuts the server down in fast mode: it ends sessions and rolls back their
// transactions. Stop waits until the process has ended and releases the folder.
// Further calls return the result of the first. It is an error if the server had
// already ended.
func (s *Server) Stop() error { return s.stop() }

func (s *Server) shutdown() error {
	err := s.pm.stop()
	if err != nil {
		err = fmt.Errorf("stop the PostgreSQL server in %s: %w", s.dir, err)
	}
	return errors.Join(err, s.lock.release())
}
