package main

import (
	"context"
	"fmt"

	"archiver/internal/load/pg"
	"archiver/internal/settings"
	"archiver/internal/supervise"
)

// migrateCommand brings the schema forward or back.
type migrateCommand struct {
	settings.LogFlags
	settings.DatabaseFlags
	Up     migrateUpCommand     `cmd:"" help:"Apply every step that is missing."`
	Down   migrateDownCommand   `cmd:"" help:"Take the newest step back, with the data in it."`
	Status migrateStatusCommand `cmd:"" help:"List the steps."`
}

type (
	migrateUpCommand     struct{}
	migrateDownCommand   struct{}
	migrateStatusCommand struct{}
)

// migrate opens the migrations of the database for some work.
func migrate(ctx context.Context, in *settings.Settings, work func(m *pg.Migrator) error) error {
	m, err := supervise.NewMigrator(ctx, in)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := work(m); err != nil {
		return supervise.ConnectHint(err)
	}
	return nil
}

func (c *migrateUpCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	return migrate(ctx, in, func(m *pg.Migrator) error {
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

func (c *migrateDownCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	return migrate(ctx, in, func(m *pg.Migrator) error {
		step, err := m.Down(ctx)
		if err == nil {
			fmt.Fprintf(s.out, "took back %s\n", step.Name)
		}
		return err
	})
}

func (c *migrateStatusCommand) Run(ctx context.Context, s streams, in *settings.Settings, parent *migrateCommand) error {
	db, err := supervise.Connect(ctx, in, parent.Logger(s.err), pg.ReadOnly())
	if err != nil {
		return err
	}
	defer db.Close()
	steps, err := db.Migrations(ctx)
	for _, step := range steps {
		state := "missing"
		if step.Applied {
			state = "applied"
		}
		fmt.Fprintf(s.out, "%-8s %s\n", state, step.Name)
	}
	return err
}
