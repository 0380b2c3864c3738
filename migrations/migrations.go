// Package migrations holds the schema, a goose file a step, forward and back.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed *.sql
var steps embed.FS

// NewProvider returns the migrations of a database.
func NewProvider(db *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	store, err := database.NewStore(database.DialectPostgres, "archiver_internal.goose_db_version")
	if err != nil {
		return nil, fmt.Errorf("prepare the table of applied migrations: %w", err)
	}
	options = append(options, goose.WithStore(versionStore{store}), goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider(database.DialectCustom, db, steps, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare the migrations: %w", err)
	}
	return provider, nil
}

// A versionStore is goose's table of applied migrations in the schema archiver_internal,
// which it creates with the table.
type versionStore struct{ database.Store }

func (s versionStore) TableExists(ctx context.Context, db database.DBTxConn) (exists bool, err error) {
	if err := db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, s.Tablename()).Scan(&exists); err != nil {
		return false, fmt.Errorf("look for %s: %w", s.Tablename(), err)
	}
	return exists, nil
}

func (s versionStore) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	var exists bool
	if err := db.QueryRowContext(ctx, `SELECT to_regnamespace('archiver_internal') IS NOT NULL`).Scan(&exists); err != nil {
		return fmt.Errorf("look for the schema archiver_internal: %w", err)
	}
	if !exists {
		if _, err := db.ExecContext(ctx, `CREATE SCHEMA archiver_internal`); err != nil {
			return fmt.Errorf("create the schema archiver_internal: %w", err)
		}
	}
	return s.Store.CreateVersionTable(ctx, db)
}
