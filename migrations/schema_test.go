package migrations

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// The schema is what the steps made that it replaced: testdata/steps.
func TestSchemaEqualsTheOldSteps(t *testing.T) {
	t.Parallel()
	old, now := catalog(t, os.DirFS("testdata/steps")), catalog(t, FS)
	if len(old) < 500 {
		t.Fatalf("the catalog of the old steps has %d entries only", len(old))
	}
	if diff := cmp.Diff(old, now); diff != "" {
		t.Errorf("the schema (-of the old steps +now):\n%s", diff)
	}
}

// catalog migrates an empty database up and says what it holds, as texts by
// kind and name.
func catalog(t *testing.T, steps fs.FS) map[string]string {
	t.Helper()
	db := open(t)
	up(t, db, steps)
	query, err := os.ReadFile("testdata/catalog.sql")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(t.Context(), string(query))
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	for rows.Next() {
		var name, is string
		if err := rows.Scan(&name, &is); err != nil {
			t.Fatal(err)
		}
		if _, twice := entries[name]; twice {
			t.Fatalf("the catalog has %s twice", name)
		}
		entries[name] = is
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	return entries
}

func open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func up(t *testing.T, db *sql.DB, steps fs.FS) {
	t.Helper()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}
