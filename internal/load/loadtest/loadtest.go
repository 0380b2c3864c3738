// Package loadtest gives tests of the load packages an archive in a database of the
// test's own. It does not import package load, whose own tests use it: tests hand
// load.New to New.
package loadtest

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/pgserver/pgtest"
)

// Patience bounds how long a test waits for an event.
const Patience = 20 * time.Second

// An Archive is a migrated database, what one process has on it, and plain connections
// to look at what this process did.
type Archive struct {
	T     testing.TB
	URL   string
	DB    *pg.DB
	Days  *days.Days
	Store archive.Store
	Read  *read.Archive
	SQL   *pgxpool.Pool // the plain connections

	open func(*pg.DB, *days.Days) archive.Store
}

// New is an empty archive. open is load.New.
func New[S archive.Store](t testing.TB, open func(*pg.DB, *days.Days) S) *Archive {
	t.Helper()
	url := pgtest.Migrated(t, func(ctx context.Context, url string) error {
		_, err := pg.MigrateUp(ctx, url)
		return err
	})
	return On(t, url, open)
}

// On is an archive in a given database.
func On[S archive.Store](t testing.TB, url string, open func(*pg.DB, *days.Days) S) *Archive {
	t.Helper()
	a := &Archive{T: t, SQL: openPool(t, url), open: func(db *pg.DB, d *days.Days) archive.Store { return open(db, d) }}
	return a.Open(url)
}

// Open is the archive as another process has it. The URL may have other settings than
// the archive's.
func (a *Archive) Open(url string) *Archive {
	a.T.Helper()
	other := *a
	other.URL = url
	other.use(OpenDB(a.T, url))
	return &other
}

func (a *Archive) use(db *pg.DB) {
	a.DB, a.Days, a.Read = db, days.New(db), read.New(db)
	a.Store = a.open(db, a.Days)
}

// OpenDB connects to a database as a process does.
func OpenDB(t testing.TB, url string) *pg.DB {
	t.Helper()
	db, err := pg.Open(t.Context(), url, 8, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// openPool opens plain connections. Their statements need not name the schemas of the
// archive.
func openPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["search_path"] = "public, archiver_internal, archiver_days"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Function adds a function to the archive.
func (a *Archive) Function(name string) archive.Known {
	a.T.Helper()
	known, err := a.Store.SeeFunctions(a.T.Context(), Source, []archive.Function{{URN: "urn:" + name, Name: name}}, Noted)
	if err != nil || len(known) != 1 {
		a.T.Fatalf("see function %s: %v, %v", name, known, err)
	}
	return known[0]
}

// Claim claims a function.
func (a *Archive) Claim(f archive.Known) archive.Claim {
	a.T.Helper()
	c, err := a.Store.Claim(a.T.Context(), f)
	if err != nil {
		a.T.Fatal(err)
	}
	return c
}

// NewClaim is a claim of a function of its own.
func (a *Archive) NewClaim(name string) archive.Claim {
	a.T.Helper()
	return a.Claim(a.Function(name))
}

// Exec runs statements on the plain connections.
func (a *Archive) Exec(sql string, args ...any) {
	a.T.Helper()
	if _, err := a.SQL.Exec(a.T.Context(), sql, args...); err != nil {
		a.T.Fatalf("%s: %v", sql, err)
	}
}

// Rows are the answer of a query, each row as one text.
func (a *Archive) Rows(sql string, args ...any) []string {
	a.T.Helper()
	got, err := a.SQL.Query(a.T.Context(), `SELECT q::text FROM (`+sql+`) AS q`, args...)
	if err != nil {
		a.T.Fatalf("%s: %v", sql, err)
	}
	texts, err := pgx.CollectRows(got, pgx.RowTo[string])
	if err != nil {
		a.T.Fatalf("%s: %v", sql, err)
	}
	return texts
}

// Value is the answer of a query for one value.
func Value[T any](a *Archive, sql string, args ...any) (v T) {
	a.T.Helper()
	if err := a.SQL.QueryRow(a.T.Context(), sql, args...).Scan(&v); err != nil {
		a.T.Fatalf("%s: %v", sql, err)
	}
	return v
}

// Blocks is how many blocks a statement asks for, in a transaction that is rolled back.
func (a *Archive) Blocks(sql string, args ...any) int {
	a.T.Helper()
	tx, err := a.DB.Pool.Begin(a.T.Context())
	if err != nil {
		a.T.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(a.T.Context()); err != nil {
			a.T.Error(err)
		}
	}()
	var text []byte
	if err := tx.QueryRow(a.T.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+sql, args...).Scan(&text); err != nil {
		a.T.Fatal(err)
	}
	var explained []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(text, &explained); err != nil {
		a.T.Fatal(err)
	}
	return explained[0].Plan.Hit + explained[0].Plan.Read
}

// Status is what archiver status tells of the functions.
func (a *Archive) Status() (functions []read.Function) {
	a.T.Helper()
	err := a.Read.Snapshot(a.T.Context(), func(s *read.Snapshot) (err error) {
		if functions, err = s.Functions(a.T.Context()); err != nil {
			return err
		}
		return s.CountOff(a.T.Context(), functions)
	})
	if err != nil {
		a.T.Fatal(err)
	}
	return functions
}

// Eventually waits until the condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited too long until %s", what)
		case <-tick.C:
		}
	}
}
