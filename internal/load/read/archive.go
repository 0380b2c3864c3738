// Package read answers what the page, the metrics and the commands ask of the
// archive. It writes nothing.
package read

import (
	"context"
	"errors"
	"fmt"

	"archiver/internal/load/pg"
)

// An Archive reads what is in the database. Many goroutines may use an Archive at
// once.
type Archive struct{ db *pg.DB }

// New is the archive in the database.
func New(db *pg.DB) *Archive { return &Archive{db} }

// Ping reports whether the database answers and has the archive's tables. If it has
// no tables, the error is pg.ErrNoSchema.
func (a *Archive) Ping(ctx context.Context) error {
	var migrated, found bool
	err := a.db.Pool.QueryRow(ctx, `
		SELECT to_regclass('archiver_internal.windows') IS NOT NULL, to_regclass('invocations') IS NOT NULL`).Scan(&migrated, &found)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case !migrated:
		return pg.ErrNoSchema
	case !found:
		return errors.New("no schema of search_path has the table invocations: set search_path as it was when the archive was made")
	}
	return nil
}

// minVersion is the oldest server that the schema supports.
const minVersion = 13_00_00

// MayCreate says why the schema cannot be created in this database, or nothing.
func (a *Archive) MayCreate(ctx context.Context) error {
	var version int
	var tables, schemas bool
	err := a.db.Pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::integer,
		       COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false),
		       has_database_privilege(current_database(), 'CREATE') OR (
			SELECT count(*) = 2
			  FROM pg_namespace
			 WHERE nspname IN ('archiver_internal', 'archiver_days') AND pg_has_role(nspowner, 'USAGE'))`).Scan(&version, &tables, &schemas)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case version < minVersion:
		return fmt.Errorf("the server is older than PostgreSQL %d", minVersion/10_000)
	case !schemas:
		return errors.New("this role may not create the schemas archiver_internal and archiver_days: GRANT CREATE ON DATABASE to it, or have another role run archiver migrate up")
	case !tables:
		return errors.New("this role may not create tables: GRANT CREATE ON SCHEMA to it, or have another role run archiver migrate up")
	}
	return nil
}
