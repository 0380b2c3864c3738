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
	var exists bool
	if err := a.db.Pool.QueryRow(ctx, `SELECT to_regclass('windows') IS NOT NULL`).Scan(&exists); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	if !exists {
		return pg.ErrNoSchema
	}
	return nil
}

// minVersion is the oldest server that the schema supports.
const minVersion = 13_00_00

// MayCreate says why the schema cannot be created in this database, or nothing.
func (a *Archive) MayCreate(ctx context.Context) error {
	var version int
	var may bool
	err := a.db.Pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::integer,
		       COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)`).Scan(&version, &may)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case version < minVersion:
		return fmt.Errorf("the server is older than PostgreSQL %d", minVersion/10_000)
	case !may:
		return errors.New("this role may not create tables: GRANT CREATE ON SCHEMA to it, or have another role run archiver migrate up")
	}
	return nil
}
