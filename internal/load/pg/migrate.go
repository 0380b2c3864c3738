package pg

import (
	"context"
	"errors"
	"fmt"

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
func NewMigrator(databaseURL string) (*Migrator, error) {
	config, err := Config(databaseURL)
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
	if err != nil {
		return nil, fmt.Errorf("prepare the migration lock: %w", err)
	}
	provider, err := migrations.NewProvider(stdlib.OpenDB(*config.ConnConfig), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, err
	}
	return &Migrator{provider}, nil
}

// Close ends the connections.
func (m *Migrator) Close() error { return m.provider.Close() }

// A Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string
	Applied bool
}

// Up applies all missing steps, and returns them.
func (m *Migrator) Up(ctx context.Context) ([]Migration, error) {
	results, err := m.provider.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate up: %w", err)
	}
	applied := make([]Migration, 0, len(results))
	for _, r := range results {
		applied = append(applied, Migration{Version: r.Source.Version, Name: r.Source.Path, Applied: true})
	}
	return applied, nil
}

// Down reverts the newest step. The data in its tables is lost.
func (m *Migrator) Down(ctx context.Context) (Migration, error) {
	r, err := m.provider.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		return Migration{}, errors.New("migrate down: no step is applied")
	}
	if err != nil {
		return Migration{}, fmt.Errorf("migrate down: %w", err)
	}
	return Migration{Version: r.Source.Version, Name: r.Source.Path}, nil
}

// Status lists all steps.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	statuses, err := m.provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the state of the migrations: %w", err)
	}
	steps := make([]Migration, 0, len(statuses))
	for _, s := range statuses {
		steps = append(steps, Migration{Version: s.Source.Version, Name: s.Source.Path, Applied: s.State == goose.StateApplied})
	}
	return steps, nil
}

// MigrateUp applies all missing steps, and returns them.
func MigrateUp(ctx context.Context, databaseURL string) (applied []Migration, err error) {
	m, err := NewMigrator(databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return m.Up(ctx)
}
