package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"archiver/internal/load/pg"

	"github.com/jackc/pgx/v5/pgconn"
)

// migrateCommand brings the schema forward or back.
type migrateCommand struct {
	logFlags
	Up     migrateUpCommand     `cmd:"" help:"Apply every step that is missing."`
	Down   migrateDownCommand   `cmd:"" help:"Take the newest step back, with the data it holds."`
	Status migrateStatusCommand `cmd:"" help:"List the steps."`
}

type (
	migrateUpCommand     struct{}
	migrateDownCommand   struct{}
	migrateStatusCommand struct{}
)

// connectHint says what to do where the database cannot be reached.
func connectHint(err error) error {
	if unreachable := (*pgconn.ConnectError)(nil); !errors.As(err, &unreachable) {
		return err
	}
	return fmt.Errorf("%w: check DATABASE_URL, and that PostgreSQL answers there", err)
}

// migrating works on the migrations of the database.
func (in *inForce) migrating(work func(m *pg.Migrator) error) error {
	address, err := in.databaseURL()
	if err != nil {
		return err
	}
	m, err := pg.NewMigrator(address)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := work(m); err != nil {
		return connectHint(err)
	}
	return nil
}

func (c *migrateUpCommand) Run(ctx context.Context, s streams, in *inForce) error {
	return in.migrating(func(m *pg.Migrator) error {
		applied, err := m.Up(ctx)
		for _, step := range applied {
			fmt.Fprintf(s.out, "applied %s\n", step.Name)
		}
		if err == nil && len(applied) == 0 {
			fmt.Fprintln(s.out, "the schema is up to date")
		}
		return err
	})
}

func (c *migrateDownCommand) Run(ctx context.Context, s streams, in *inForce) error {
	return in.migrating(func(m *pg.Migrator) error {
		step, err := m.Down(ctx)
		if err == nil {
			fmt.Fprintf(s.out, "took back %s\n", step.Name)
		}
		return err
	})
}

func (c *migrateStatusCommand) Run(ctx context.Context, s streams, in *inForce) error {
	return in.migrating(func(m *pg.Migrator) error {
		steps, err := m.Status(ctx)
		for _, step := range steps {
			state := "missing"
			if step.Applied {
				state = "applied"
			}
			fmt.Fprintf(s.out, "%-8s %s\n", state, step.Name)
		}
		return err
	})
}

// migrateTimeout bounds how long a command waits for another process that is
// migrating.
const migrateTimeout = 5 * time.Minute

// migrateUp brings the schema up before a command that archives.
func migrateUp(ctx context.Context, address string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	applied, err := pg.MigrateUp(ctx, address)
	if err != nil {
		return connectHint(err)
	}
	for _, step := range applied {
		log.Info("migration applied", "migration", step.Name)
	}
	return nil
}
