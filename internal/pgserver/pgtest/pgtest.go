// Package pgtest gives tests databases on one private PostgreSQL cluster per
// test process. Only tests import it.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/pgserver"
)

// serverEnv is the URL of a server to use instead of starting one, with
// wal_level = logical and a user who may create databases and subscriptions.
const serverEnv = "ARCHIVER_TEST_DATABASE_URL"

// patience is how long a test waits for the server. A start may have to download
// binaries first.
const patience = 10 * time.Minute

// server is this process's server, set by start unless serverEnv is set.
var (
	server *pgserver.Server
	folder string
	start  = sync.OnceValues(startServer)
)

// Main is a package's TestMain. It runs the tests, stops and removes the process's
// cluster if a test started one, and exits.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopServer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Database returns the URL of a new, empty database. It is dropped when the test
// ends, even if connections are open. The first call starts the cluster.
func Database(t testing.TB) string {
	t.Helper()
	return database(t, "template0")
}

// Migrated returns the URL of a new database that migrate has prepared. migrate runs
// once in a process, and each test gets a copy of its database.
func Migrated(t testing.TB, migrate func(ctx context.Context, url string) error) string {
	t.Helper()
	template.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		base, err := start()
		if err != nil {
			templateErr = err
			return
		}
		name := "migrated_" + strings.ToLower(rand.Text()[:16])
		if templateErr = create(ctx, base, name, "template0"); templateErr != nil {
			return
		}
		if templateErr = migrate(ctx, at(base, name)); templateErr == nil {
			templateName = name
		}
	})
	if templateErr != nil {
		t.Fatalf("migrate a database for the tests: %v", templateErr)
	}
	return database(t, templateName)
}

// The template of this process, made by the first call of Migrated. It is removed
// with the cluster.
var (
	template     sync.Once
	templateName string
	templateErr  error
)

func database(t testing.TB, template string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	base, err := start()
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text()[:16])
	if err := create(ctx, base, name, template); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := pgserver.Exec(ctx, base, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return at(base, name)
}

// at is the URL of another database of the server.
func at(base, name string) string {
	u, err := url.Parse(base)
	if err != nil {
		panic(err) // the server's start has parsed it
	}
	u.Path = "/" + name
	return u.String()
}

// create makes a database from a template, closed to other roles. If autovacuum or another process's CREATE
// DATABASE uses the template, it retries.
func create(ctx context.Context, base, name, template string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := pgserver.Exec(ctx, base, "CREATE DATABASE "+name+" TEMPLATE "+template)
		var pgErr *pgconn.PgError
		switch {
		case err == nil && template == "template0":
			return pgserver.Exec(ctx, at(base, name), pgserver.ClosePublic)
		case !errors.As(err, &pgErr) || pgErr.Code != "55006": // object_in_use
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-tick.C:
		}
	}
}

// startServer returns the URL of the server to create databases on.
func startServer() (string, error) {
	if base := os.Getenv(serverEnv); base != "" {
		if u, err := url.Parse(base); err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
			return "", errors.New(serverEnv + " must be a postgres:// URL")
		}
		return base, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	home, err := moduleHome()
	if err != nil {
		return "", err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := errors.Join(removeLeftovers(ctx, home), pgserver.RemoveOrphans(ctx)); err != nil {
		// They may be another user's. Tests do not need them removed.
		log.Warn("could not remove the clusters of killed tests", "error", err)
	}
	folder = filepath.Join(home, fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:8])))
	server, err = pgserver.Start(ctx, pgserver.Options{
		Dir:      folder,
		Fast:     true,
		InMemory: true,
		// It looks at each of the many short-lived databases, for a tenth of the processor's
		// time, and locks a table now and then: ANALYZE and retention leave such a table to
		// the next run. Tests lock tables themselves where they show that.
		Settings: map[string]string{"autovacuum": "off", "wal_level": "logical"},
		Log:      log,
	})
	if err != nil {
		return "", err
	}
	return server.URL(), nil
}

func stopServer() error {
	if folder == "" {
		return nil
	}
	var err error
	if server != nil {
		err = server.Stop()
	}
	return errors.Join(err, pgserver.Remove(context.Background(), folder))
}

// moduleHome is the module's folder .archiver, which git ignores.
func moduleHome() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".archiver"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the module's folder: no go.mod above the tests")
		}
	}
}

var ofTest = regexp.MustCompile(`^test-(\d+)-`)

// removeLeftovers removes the clusters of killed test processes. It leaves a cluster
// whose process lives or that is in use.
func removeLeftovers(ctx context.Context, home string) error {
	entries, err := os.ReadDir(home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var failed error
	for _, e := range entries {
		m := ofTest.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		pid, err := strconv.Atoi(m[1])
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := pgserver.Remove(ctx, filepath.Join(home, e.Name())); !errors.Is(err, pgserver.ErrInUse) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
