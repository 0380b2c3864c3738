// Package read answers what the page, the metrics and the commands ask of the
// archive. It writes nothing.
package read

import (
	"context"
	_ "embed" // statements
	"fmt"
	"strings"

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
	var migrated bool
	var role string
	var closed, owner *string // a schema that this role may not look into, and whose it is
	s := a.db.Schema
	err := a.db.Pool.QueryRow(ctx, `
		SELECT to_regclass('windows') IS NOT NULL AND to_regclass('invocations') IS NOT NULL, current_user, closed.nspname, closed.owner
		  FROM (SELECT) AS always
		  LEFT JOIN (
			SELECT nspname, pg_get_userbyid(nspowner) AS owner
			  FROM pg_namespace
			 WHERE nspname IN ($1, $2, $3) AND NOT has_schema_privilege(oid, 'USAGE')
			 ORDER BY nspname <> $2
			 LIMIT 1) AS closed ON true`, s.People, s.Internal, s.Days).Scan(&migrated, &role, &closed, &owner)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case !migrated && closed != nil:
		return fmt.Errorf("the role %s may not look into the schema %s of %s: connect as %[3]s, or GRANT archiver_reader TO %[1]s", role, *closed, *owner)
	case !migrated:
		return pg.ErrNoSchema
	}
	return nil
}

// Records returns how many records are archived.
func (a *Archive) Records(ctx context.Context) (records int64, err error) {
	err = a.db.Pool.QueryRow(ctx, `SELECT COALESCE(sum(records), 0) FROM window_days`).Scan(&records)
	if err != nil {
		return 0, fmt.Errorf("count the records: %w", err)
	}
	return records, nil
}

// MayWrite says why this role cannot archive, or nothing.
func (a *Archive) MayWrite(ctx context.Context) error {
	var owns, creates bool
	var role, owner string
	err := a.db.Pool.QueryRow(ctx, `
		SELECT pg_has_role(relowner, 'USAGE'), has_schema_privilege($1, 'USAGE, CREATE'), current_user, pg_get_userbyid(relowner)
		  FROM pg_class
		 WHERE oid = to_regclass('windows')`, a.db.Schema.Days).Scan(&owns, &creates, &role, &owner)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case !owns:
		return fmt.Errorf("the role %s may only read: to archive, connect as %s, who owns the archive", role, owner)
	case !creates:
		return fmt.Errorf("the role %s may not create the tables of days: GRANT USAGE, CREATE ON SCHEMA %s TO %[1]s", role, a.db.Schema.Days)
	}
	return nil
}

//go:embed mayread.sql
var selectUnreadable string

// MayRead says what of the archive this role cannot read, or nothing.
func (a *Archive) MayRead(ctx context.Context) error {
	var role string
	var unreadable []string
	s := a.db.Schema
	err := a.db.Pool.QueryRow(ctx, selectUnreadable, pg.Args{"schemas": []string{s.People, s.Internal, s.Days}}).Scan(&role, &unreadable)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case len(unreadable) > 0:
		return fmt.Errorf("the role %s may not read %s: GRANT archiver_reader TO %[1]s", role, strings.Join(unreadable, ", "))
	}
	return nil
}

// minVersion is the oldest server that the schema supports.
const minVersion = 13_00_00

// MayCreate says why the schema cannot be created in this database, or nothing.
func (a *Archive) MayCreate(ctx context.Context) error {
	s := a.db.Schema
	var version int
	var tables, schemas bool
	err := a.db.Pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::integer,
		       has_database_privilege(current_database(), 'CREATE') OR (
			SELECT count(*) = 3
			  FROM pg_namespace
			 WHERE nspname = $1 OR nspname IN ($2, $3) AND pg_has_role(nspowner, 'USAGE')),
		       COALESCE((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), true)`,
		s.People, s.Internal, s.Days).Scan(&version, &schemas, &tables)
	switch {
	case err != nil:
		return fmt.Errorf("ask the database: %w", err)
	case version < minVersion:
		return fmt.Errorf("the server is older than PostgreSQL %d", minVersion/10_000)
	case !schemas:
		return fmt.Errorf("this role may not create the schemas %s and %s: GRANT CREATE ON DATABASE to it, or have another role run archiver migrate up", s.Internal, s.Days)
	case !tables:
		return fmt.Errorf("this role may not create tables: GRANT CREATE ON SCHEMA %s to it, or have another role run archiver migrate up", s.People)
	}
	return nil
}
