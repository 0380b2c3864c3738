package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/settings"
)

// OpenReader opens the database for a command that only shows the archive: the
// connections cannot change it. Close the database.
func OpenReader(ctx context.Context, s *settings.Settings, log *slog.Logger) (*pg.DB, error) {
	address, err := s.DatabaseURL()
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, address, 1, log, pg.Rotated(s.Database.Read), pg.ReadOnly())
	if err != nil {
		return nil, ConnectHint(err)
	}
	if err := read.New(db).Ping(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// OpenStore opens the database for a command that changes what the archive says of
// windows and sources, and asks no source. Close the database.
func OpenStore(ctx context.Context, s *settings.Settings, log *slog.Logger) (*load.Store, *pg.DB, error) {
	address, err := s.DatabaseURL()
	if err != nil {
		return nil, nil, err
	}
	db, err := pg.Open(ctx, address, 1, log, pg.Rotated(s.Database.Read))
	if err != nil {
		return nil, nil, ConnectHint(err)
	}
	if err := read.New(db).Ping(ctx); err != nil {
		db.Close()
		return nil, nil, err
	}
	return load.New(db, days.New(db)), db, nil
}

// ConnectHint adds to an error what to do if the database cannot be reached.
func ConnectHint(err error) error {
	if unreachable := (*pgconn.ConnectError)(nil); !errors.As(err, &unreachable) {
		return err
	}
	return fmt.Errorf("%w: check DATABASE_URL, and that PostgreSQL answers there", err)
}

// migrateTimeout bounds how long a command waits while another process migrates.
const migrateTimeout = 5 * time.Minute

// MigrateUp brings the schema up.
func MigrateUp(ctx context.Context, address string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	applied, err := pg.MigrateUp(ctx, address)
	if err != nil {
		return ConnectHint(err)
	}
	for _, step := range applied {
		log.Info("migration applied", "migration", step.Name)
	}
	return nil
}
