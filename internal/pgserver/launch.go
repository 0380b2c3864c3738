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
	// readyPatience bounds a start, crash recovery included.
	readyPatience = 2 * time.Minute
	// attempts to start where what stood in the way goes by itself: a port
	// taken since we looked, sessions of a killed server that have yet to
	// notice.
	attempts = 20
)

var errPassing = errors.New("the server could not start yet")

// launch starts the server on a free port and returns when it accepts
// connections.
func (c *cluster) launch(ctx context.Context, more map[string]string) (*postmaster, int, error) {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for n := 1; ; n++ {
		port, err := freePort()
		if err != nil {
			return nil, 0, err
		}
		pm, err := c.launchOn(ctx, port, more)
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

func (c *cluster) launchOn(ctx context.Context, port int, more map[string]string) (*postmaster, error) {
	log, err := os.OpenFile(c.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	args := append([]string{"-D", c.data}, c.settings(strconv.Itoa(port), more)...)
	// Not bound to the context: the server outlives the start.
	cmd := c.as.command(context.WithoutCancel(ctx), c.bins, filepath.Join(c.bins.dir, "postgres"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	pm, err := startPostmaster(cmd)
	closeErr := log.Close() // the server has its own
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

// startError adds what the server said last, from an offset of its log on, and
// marks what is worth another attempt.
func (c *cluster) startError(err error, from int64) error {
	text, _ := os.ReadFile(c.logFile()) // adds to the error if it can
	said := string(text[min(from, int64(len(text))):])
	for _, passing := range []string{"could not create any TCP/IP sockets", "is still in use"} {
		if strings.Contains(said, passing) {
			err = fmt.Errorf("%w: %w", errPassing, err)
		}
	}
	return fmt.Errorf("%w; its log, %s, ends: %s", err, c.logFile(), lastLines(said, 8))
}

// awaitReady waits until the server says that it is ready on our port: only then
// is the port known to be its own, and not someone's who took it meanwhile and
// would be handed the password.
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
			return fmt.Errorf("the server ended at once (%v)", pm.cmd.ProcessState)
		case <-tick.C:
		}
	}
}

// freePort is a loopback port nobody listens on right now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	return strconv.Atoi(port)
}

// createDatabase creates a database that may be there already.
func createDatabase(ctx context.Context, url, name string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the new server: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42P04" { // duplicate_database
		return nil
	}
	return err
}
