package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/page"
	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// limitsCommand shows what was learned of the sources.
type limitsCommand struct {
	settings.LogFlags
	settings.DatabaseFlags
	Provider  string `env:"-" placeholder:"NAME" help:"Only sources of this provider."`
	Region    string `env:"-" placeholder:"NAME" help:"Only sources of this region."`
	ProjectID string `env:"-" name:"project-id" placeholder:"ID" help:"Only the source of this project or account."`
	Reset     bool   `env:"-" help:"Forget what is printed: the next run learns it again."`
}

func (c *limitsCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	log := c.Logger(s.err)
	limits, err := c.limits(ctx, in, log)
	if err != nil {
		return err
	}
	table := terminal.Table{Columns: terminal.Heads("SOURCE", "LIMIT", "LEARNED", "BELIEVED UNTIL", "WHAT IT IS")}
	for i := range limits {
		l := &limits[i]
		table.Add(page.SourceText(l), page.LimitText(l), l.Learned.Format(time.RFC3339), l.Believed.Format(time.RFC3339), l.Meaning)
	}
	if err := table.Write(s.out, 0); err != nil {
		return fmt.Errorf("print the limits: %w", err)
	}
	if !c.Reset {
		fmt.Fprintf(s.out, "%d limits are believed\n", len(limits))
		return nil
	}
	store, db, err := supervise.OpenStore(ctx, in, log)
	if err != nil {
		return err
	}
	defer db.Close()
	forgotten, err := store.Unlearn(ctx, archive.SourceID{Provider: c.Provider, Region: c.Region, ProjectID: c.ProjectID})
	if err == nil {
		fmt.Fprintf(s.out, "%d lessons forgotten\n", forgotten)
	}
	return err
}

// limits reads what was learned of the sources that the flags pick.
func (c *limitsCommand) limits(ctx context.Context, in *settings.Settings, log *slog.Logger) (limits []read.Limit, err error) {
	db, err := supervise.OpenReader(ctx, in, log)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	err = read.New(db).Snapshot(ctx, func(snapshot *read.Snapshot) error {
		limits, err = snapshot.Limits(ctx, archive.SystemClock{}.Now())
		return err
	})
	return slices.DeleteFunc(limits, func(l read.Limit) bool {
		return c.Provider != "" && l.Provider != c.Provider || c.Region != "" && l.Region != c.Region ||
			c.ProjectID != "" && l.Project != c.ProjectID
	}), err
}
