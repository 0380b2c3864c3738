// Package migrations holds the schema, a goose file a step, forward and back.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed *.sql
var steps embed.FS

// A Schema names the schemas of an archive: see pg.Schema. The files name those of the
// default, archiver_internal and archiver_days, and never the first one: its tables go
// where the first schema of search_path is.
type Schema struct{ People, Internal, Days string }

// A Step is a file.
type Step struct {
	Version int64
	Name    string
	Drops   []string // tables and columns that go, with what is in them, if the step is taken back
}

// dropped matches what a step back drops.
var dropped = regexp.MustCompile(`(?m)^(?:DROP TABLE|ALTER TABLE) (\S+?)(?: DROP COLUMN (\w+))?;`)

// Steps are all steps, the first one first.
func Steps() (all []Step, err error) {
	names, err := fs.Glob(steps, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list the migrations: %w", err)
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("read the number of the migration %s: %w", name, err)
		}
		text, err := steps.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read a migration: %w", err)
		}
		_, back, _ := strings.Cut(string(text), "-- +goose Down")
		step := Step{Version: version, Name: name}
		for _, drop := range dropped.FindAllStringSubmatch(back, -1) {
			step.Drops = append(step.Drops, strings.TrimSuffix(drop[1]+"."+drop[2], "."))
		}
		all = append(all, step)
	}
	return all, nil
}

// NewProvider returns the migrations of an archive.
func NewProvider(db *sql.DB, at Schema, options ...goose.ProviderOption) (*goose.Provider, error) {
	store, err := database.NewStore(database.DialectPostgres, at.Internal+".goose_db_version")
	if err != nil {
		return nil, fmt.Errorf("prepare the table of applied migrations: %w", err)
	}
	options = append(options, goose.WithStore(versionStore{store, at}), goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider(database.DialectCustom, db, named{
		steps, strings.NewReplacer("archiver_internal", at.Internal, "archiver_days", at.Days),
	}, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare the migrations: %w", err)
	}
	return provider, nil
}

// named is the files with the names of an archive's schemas.
type named struct {
	files   fs.FS
	schemas *strings.Replacer
}

func (n named) Open(name string) (fs.File, error) {
	file, err := n.files.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	text, err := io.ReadAll(file)
	return namedFile{file, strings.NewReader(n.schemas.Replace(string(text)))}, err
}

type namedFile struct {
	fs.File
	text io.Reader
}

func (f namedFile) Read(b []byte) (int, error) { return f.text.Read(b) }

// A versionStore is goose's table of applied migrations in the internal schema. It
// creates the schemas that people query and its own with the table.
type versionStore struct {
	database.Store
	at Schema
}

func (s versionStore) TableExists(ctx context.Context, db database.DBTxConn) (exists bool, err error) {
	if err := db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, s.Tablename()).Scan(&exists); err != nil {
		return false, fmt.Errorf("look for %s: %w", s.Tablename(), err)
	}
	return exists, nil
}

func (s versionStore) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	for _, schema := range []string{s.at.People, s.at.Internal} {
		var create *string
		err := db.QueryRowContext(ctx, `
			SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) THEN format('CREATE SCHEMA %I', $1::text) END`,
			schema).Scan(&create)
		if err == nil && create != nil {
			_, err = db.ExecContext(ctx, *create)
		}
		if err != nil {
			return fmt.Errorf("create the schema %s: %w", schema, err)
		}
	}
	return s.Store.CreateVersionTable(ctx, db)
}
