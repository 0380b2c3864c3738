package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
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
	migrateUpCommand   struct{}
	migrateDownCommand struct {
		Yes bool `env:"-" help:"Do not ask."`
	}
	migrateStatusCommand struct {
		JSON bool `name:"json" help:"For programs."`
	}
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

// Run says what is lost before it takes the newest step back.
func (c *migrateDownCommand) Run(ctx context.Context, s streams, in *settings.Settings, parent *migrateCommand) error {
	db, err := supervise.Connect(ctx, in, parent.Logger(s.err), pg.ReadOnly())
	if err != nil {
		return err
	}
	defer db.Close()
	steps, err := db.Migrations(ctx)
	if err != nil {
		return err
	}
	steps = slices.DeleteFunc(steps, func(step pg.Migration) bool { return !step.Applied })
	if len(steps) == 0 {
		return errors.New("migrate down: no step is applied")
	}
	newest := steps[len(steps)-1]
	if err := db.Known(ctx); err != nil {
		return err
	}
	lost := "no data"
	if len(newest.Drops) > 0 {
		lost = "with all that is in them: " + strings.Join(newest.Drops, ", ")
	}
	if slices.Contains(newest.Drops, "invocations") {
		records, err := read.New(db).Records(ctx)
		if err != nil {
			return err
		}
		lost += fmt.Sprintf("; that is the whole archive, with %d records", records)
	}
	fmt.Fprintf(s.err, "archiver: taking back %s drops %s\n", newest.Name, lost)
	if !c.Yes && !terminal.Confirm(s.in, s.err, "Take it back?") {
		return settings.Usagef("nothing was taken back: answer yes, or give --yes")
	}
	return migrate(ctx, in, func(m *pg.Migrator) error {
		err := m.Down(ctx, newest)
		if err == nil {
			fmt.Fprintf(s.out, "took back %s\n", newest.Name)
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
	if err != nil {
		return err
	}
	report := migrations{Steps: []migration{}}
	for _, step := range steps {
		state := "missing"
		switch {
		case step.Newer:
			state = "newer"
		case step.Applied:
			state = "applied"
		}
		report.Steps = append(report.Steps, migration{step.Version, step.Name, state})
		if !c.JSON {
			fmt.Fprintf(s.out, "%-8s %s\n", state, step.Name)
		}
	}
	if c.JSON {
		return printJSON(s.out, report)
	}
	return nil
}

// migrations is what migrate status --json prints.
type migrations struct {
	Steps []migration `json:"steps"`
}

type migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	State   string `json:"state"` // applied, missing, or newer: a newer archiver has applied it
}
