package main

import (
	"context"
	"fmt"
	"time"

	"archiver/internal/settings"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// acknowledgeCommand takes missed windows out of the verdict.
type acknowledgeCommand struct {
	settings.LogFlags
	settings.DatabaseFlags
	Before instant `required:"" placeholder:"TIME" help:"Missed windows that start before this time: RFC 3339 or a date; UTC without a zone."`
}

// Run prints what it acknowledges. It deletes nothing: the windows stay expired.
func (c *acknowledgeCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	store, db, err := supervise.OpenStore(ctx, in, c.Logger(s.err))
	if err != nil {
		return err
	}
	defer db.Close()
	acknowledged, err := store.Acknowledge(ctx, c.Before.Time)
	if err != nil {
		return err
	}
	table := terminal.Table{Columns: terminal.Heads("FUNCTION", "WINDOWS", "FIRST", "LAST")}
	var windows int64
	for _, a := range acknowledged {
		table.Add(a.URN, fmt.Sprint(a.Windows), a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339))
		windows += a.Windows
	}
	if err := table.Write(s.out, 0); err != nil {
		return fmt.Errorf("print what is acknowledged: %w", err)
	}
	fmt.Fprintf(s.out, "%d missed windows of %d functions acknowledged\n", windows, len(acknowledged))
	return nil
}
