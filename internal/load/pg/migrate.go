package pg

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"archiver/migrations"
)

// A Migrator changes the schema of a database, forward and back.
type Migrator struct {
	provider *goose.Provider
}

// NewMigrator prepares the migrations of a database. Processes that migrate at once do
// so one after the other, by a session lock. The caller closes the Migrator.
func NewMigrator(ctx context.Context, databaseURL string, options ...Option) (*Migrator, error) {
	config, sessions, err := configure(databaseURL, options)
	if err != nil {
		return nil, err
	}
	sessions.creates = true
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
	if err != nil {
		return nil, fmt.Errorf("prepare the migration lock: %w", err)
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(connectError(databaseURL, err), db.Close())
	}
	at := sessions.schema
	provider, err := migrations.NewProvider(db, migrations.Schema(*at), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Migrator{provider}, nil
}

// Close ends the connections.
func (m *Migrator) Close() error { return m.provider.Close() }

// A Migration is one step of the schema.
type Migration struct {
	migrations.Step
	Applied bool
	Newer   bool // of a newer archiver: this one knows nothing of it
}

// Up applies all missing steps, and returns them. A schema with steps that this version does
// not know is an error.
func (m *Migrator) Up(ctx context.Context) (applied []Migration, err error) {
	results, err := m.provider.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate up: %w", migrating(err))
	}
	for _, r := range results {
		applied = append(applied, migrationOf(r.Source))
	}
	at, err := m.provider.GetDBVersion(ctx)
	if err != nil {
		return applied, fmt.Errorf("migrate up: %w", migrating(err))
	}
	steps := m.provider.ListSources()
	if known := steps[len(steps)-1].Version; at > known {
		return applied, newerSchema(at, known)
	}
	return applied, nil
}

func newerSchema(at, known int64) error {
	return refuse("a newer version of archiver has made the schema: it is at step %d, and this version knows %d: start the newer version", at, known)
}

func migrationOf(s *goose.Source) Migration {
	return Migration{Step: migrations.Step{Version: s.Version, Name: s.Path}, Applied: true}
}

// Down takes a step back. The data in its tables is lost.
func (m *Migrator) Down(ctx context.Context, step Migration) error {
	if _, err := m.provider.ApplyVersion(ctx, step.Version, false); err != nil {
		return fmt.Errorf("take back %s: %w", step.Name, migrating(err))
	}
	return nil
}

// migrating marks the errors by which database/sql says that a connection was lost.
func migrating(err error) error {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return lost(err)
	}
	return err
}

// Migrations lists all steps of the archive's schema. It only reads.
func (db *DB) Migrations(ctx context.Context) ([]Migration, error) {
	steps, err := migrations.Steps()
	if err != nil {
		return nil, err
	}
	// An application's own goose_db_version may lie in the schema of people.
	table := pgx.Identifier{db.Schema.Internal, "goose_db_version"}.Sanitize()
	var exists bool
	var applied []int64
	err = db.Pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&exists)
	if err == nil && exists {
		err = db.Pool.QueryRow(ctx, `SELECT COALESCE(array_agg(version_id), '{}') FROM `+table+` WHERE is_applied`).Scan(&applied)
	}
	if err != nil {
		return nil, fmt.Errorf("read which migrations are applied: %w", err)
	}
	all := make([]Migration, 0, len(steps))
	for _, step := range steps {
		all = append(all, Migration{Step: step, Applied: slices.Contains(applied, step.Version)})
	}
	last := steps[len(steps)-1].Version
	slices.Sort(applied)
	for _, version := range slices.Compact(applied) {
		if version > last {
			all = append(all, Migration{Step: migrations.Step{Version: version, Name: fmt.Sprintf("%05d", version)}, Applied: true, Newer: true})
		}
	}
	return all, nil
}

// Known returns an error if a newer version has migrated the database.
func (db *DB) Known(ctx context.Context) error {
	steps, err := db.Migrations(ctx)
	if err != nil || !steps[len(steps)-1].Newer {
		return err
	}
	known := slices.IndexFunc(steps, func(step Migration) bool { return step.Newer })
	return newerSchema(steps[len(steps)-1].Version, steps[known-1].Version)
}

// MigrateUp applies all missing steps, and returns them.
func MigrateUp(ctx context.Context, databaseURL string, options ...Option) (applied []Migration, err error) {
	m, err := NewMigrator(ctx, databaseURL, options...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return m.Up(ctx)
}
