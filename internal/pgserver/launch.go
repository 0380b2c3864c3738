package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// readyPatience is the time limit of a start, including crash recovery.
	readyPatience = 2 * time.Minute
	// attempts is how often a start is tried if it fails for a reason that passes:
	// the port was taken in the meantime, or sessions of a killed server have not
	// ended yet.
	attempts = 20
)

var errPassing = errors.New("the server could not start yet")

// launch starts the server on a port and returns when it accepts connections.
func (c *cluster) launch(ctx context.Context, choose func() (port int, err error)) (*postmaster, int, error) {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for n := 1; ; n++ {
		port, err := choose()
		if err != nil {
			return nil, 0, err
		}
		pm, err := c.launchOn(ctx, port)
		if !errors.Is(err, errPassing) || n == attempts {
			return pm, port, err
		}
		select {
		case <-ctx.Done():
			return nil, 0, errors.Join(err, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *cluster) launchOn(ctx context.Context, port int) (*postmaster, error) {
	log, err := os.OpenFile(c.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	args := append([]string{"-D", c.data}, c.settings(strconv.Itoa(port))...)
	// The server outlives the start, so the context must not end it.
	cmd := c.as.command(context.WithoutCancel(ctx), c.bins, filepath.Join(c.bins.dir, "postgres"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	pm, err := startPostmaster(cmd)
	closeErr := log.Close() // the server has its own descriptor
	if err != nil {
		return nil, err
	}
	if err := errors.Join(closeErr, c.awaitReady(ctx, pm, strconv.Itoa(port))); err != nil {
		pm.kill()
		return nil, c.startError(err, before)
	}
	return pm, nil
}

func (c *cluster) logFile() string { return filepath.Join(c.dir, "postgres.log") }

// startError adds the last lines of the server's log since an offset, and marks
// errors that are worth another attempt.
func (c *cluster) startError(err error, from int64) error {
	text, _ := os.ReadFile(c.logFile()) // without the log, the error has less detail
	said := string(text[min(from, int64(len(text))):])
	for _, passing := range []string{"could not create any TCP/IP sockets", "is still in use"} {
		if strings.Contains(said, passing) {
			err = fmt.Errorf("%w: %w", errPassing, err)
		}
	}
	return fmt.Errorf("%w; its log, %s, ends: %s", err, c.logFile(), lastLines(said, 8))
}

// awaitReady waits until the server says that it is ready on the port. Before
// that, another program may have taken the port, and would get the password.
func (c *cluster) awaitReady(ctx context.Context, pm *postmaster, port string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		file, err := readPIDFile(c.data)
		if err == nil && file.ready && file.port == port && file.pid == pm.cmd.Process.Pid {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server to be ready: %w", ctx.Err())
		case <-pm.done:
			return fmt.Errorf("the server ended during its start (%v)", pm.cmd.ProcessState)
		case <-tick.C:
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Exec runs one statement on a connection of its own.
func Exec(ctx context.Context, url, statement string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// ClosePublic is a statement for a new database. Before PostgreSQL 15 every role may
// create objects in the schema public, where an archive refuses to be.
const ClosePublic = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"

func createDatabase(ctx context.Context, url, name string) error {
	err := Exec(ctx, url, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42P04" { // duplicate_database
		return nil
	}
	return err
}
