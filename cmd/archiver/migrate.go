package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"archiver/internal/load"
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

// migrator opens the migrations of DATABASE_URL.
func migrator() (*load.Migrator, error) {
	address, err := databaseURL()
	if err != nil {
		return nil, err
	}
	return load.NewMigrator(address)
}

// connectHint says what to do where the first words with the database fail.
func connectHint(err error) error {
	return fmt.Errorf("%w: check DATABASE_URL, and that PostgreSQL answers there", err)
}

func (c *migrateUpCommand) Run(ctx context.Context, s streams) error {
	m, err := migrator()
	if err != nil {
		return err
	}
	defer m.Close()
	applied, err := m.Up(ctx)
	if err != nil {
		return connectHint(err)
	}
	for _, step := range applied {
		fmt.Fprintf(s.out, "applied %s\n", step.Name)
	}
	if len(applied) == 0 {
		fmt.Fprintln(s.out, "the schema is up to date")
	}
	return nil
}

func (c *migrateDownCommand) Run(ctx context.Context, s streams) error {
	m, err := migrator()
	if err != nil {
		return err
	}
	defer m.Close()
	step, err := m.Down(ctx)
	if err != nil {
		return connectHint(err)
	}
	fmt.Fprintf(s.out, "took back %s\n", step.Name)
	return nil
}

func (c *migrateStatusCommand) Run(ctx context.Context, s streams) error {
	m, err := migrator()
	if err != nil {
		return err
	}
	defer m.Close()
	steps, err := m.Status(ctx)
	if err != nil {
		return connectHint(err)
	}
	for _, step := range steps {
		state := "missing"
		if step.Applied {
			state = "applied"
		}
		fmt.Fprintf(s.out, "%-8s %s\n", state, step.Name)
	}
	return nil
}

// migrateTimeout bounds how long a command waits for another process that is
// migrating.
const migrateTimeout = 5 * time.Minute

// migrateUp brings the schema up before a command that archives.
func migrateUp(ctx context.Context, address string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	m, err := load.NewMigrator(address)
	if err != nil {
		return err
	}
	defer m.Close()
	applied, err := m.Up(ctx)
	if err != nil {
		return connectHint(err)
	}
	for _, step := range applied {
		log.Info("migration applied", "migration", step.Name)
	}
	return nil
}
