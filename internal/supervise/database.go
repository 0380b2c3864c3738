package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/settings"
)

// Connect opens the database for one reader or writer, whether or not there is an
// archive in it. Close the database.
func Connect(ctx context.Context, s *settings.Settings, log *slog.Logger, options ...pg.Option) (*pg.DB, error) {
	address, err := s.DatabaseURL()
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, address, 1, log, append(connecting(s), options...)...)
	return db, ConnectHint(err)
}

// NewMigrator opens the migrations of the database. Close the migrator.
func NewMigrator(ctx context.Context, s *settings.Settings) (*pg.Migrator, error) {
	address, err := s.DatabaseURL()
	if err != nil {
		return nil, err
	}
	m, err := pg.NewMigrator(ctx, address, connecting(s)...)
	return m, ConnectHint(err)
}

// connecting is how every command connects.
func connecting(s *settings.Settings) []pg.Option {
	return []pg.Option{pg.Rotated(s.Database.Read), pg.InSchema(s.Schema)}
}

// OpenReader opens the database for a command that only shows the archive: the
// connections cannot change it. Close the database.
func OpenReader(ctx context.Context, s *settings.Settings, log *slog.Logger) (*pg.DB, error) {
	db, err := Connect(ctx, s, log, pg.ReadOnly())
	if err != nil {
		return nil, err
	}
	reader := read.New(db)
	if err := cmp.Or(reader.Ping(ctx), reader.MayRead(ctx)); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// OpenStore opens the database for a command that changes what the archive says of
// windows and sources, and asks no source. Close the database.
func OpenStore(ctx context.Context, s *settings.Settings, log *slog.Logger) (*load.Store, *pg.DB, error) {
	db, err := Connect(ctx, s, log)
	if err != nil {
		return nil, nil, err
	}
	if err := read.New(db).Ping(ctx); err != nil {
		db.Close()
		return nil, nil, err
	}
	return load.New(db, days.New(db)), db, nil
}

// ConnectHint adds to an error what to do if the database cannot be reached, and says if it
// was lost.
func ConnectHint(err error) error {
	unreachable := (*pgconn.ConnectError)(nil)
	switch {
	case errors.Is(err, pg.ErrStandby):
		return err
	case errors.As(err, &unreachable):
		return fmt.Errorf("%w: check DATABASE_URL, and that PostgreSQL answers there", err)
	case pg.TroubleOf(err) == archive.TroubleLost:
		return fmt.Errorf("the connection to the database was lost: %w", err)
	}
	return err
}

// maxOpenPause bounds the time between two tries to open a database that is away.
const maxOpenPause = 5 * time.Second

// A databaseWait is how a command waits for a database that is away when it starts.
type databaseWait struct {
	archive.Clock
	Log     *slog.Logger
	longest time.Duration
	forever bool // run waits until it comes, also for a name: its service may be started later
}

// sayAway is how often a wait says again why the database is away.
const sayAway = 5 * time.Minute

// until calls open until the database is not away any more, or the wait is over.
func (w *databaseWait) until(ctx context.Context, open func() error) error {
	began, pause := w.Now(), 100*time.Millisecond
	var said time.Time
	for {
		err := open()
		now := w.Now()
		waited := now.Sub(began)
		comes := pg.Away(err) || w.forever && pg.NoSuchHost(err)
		if err == nil || ctx.Err() != nil || !comes || !w.forever && waited >= w.longest {
			return err
		}
		if now.Sub(said) >= sayAway {
			w.Log.Warn("the database is away, the archiver waits", archive.ErrorKeys(err)...)
			said = now
		}
		if !w.forever {
			pause = min(pause, w.longest-waited)
		}
		if err := w.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxOpenPause)
	}
}

// migrateTimeout bounds how long a command waits while another process migrates.
const migrateTimeout = 5 * time.Minute

// MigrateUp brings the schema up.
func MigrateUp(ctx context.Context, address string, log *slog.Logger, options ...pg.Option) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	applied, err := pg.MigrateUp(ctx, address, options...)
	if err != nil {
		return ConnectHint(err)
	}
	for _, step := range applied {
		log.Info("migration applied", "migration", step.Name)
	}
	return nil
}
