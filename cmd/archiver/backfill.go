package main

import (
	"context"

	"archiver/internal/archive"
)

// backfillCommand archives a range of hours.
type backfillCommand struct {
	archiveFlags
	From     hour     `required:"" placeholder:"TIME" help:"First hour, RFC 3339 or a date; UTC without a zone."`
	To       hour     `required:"" placeholder:"TIME" help:"The hour after the last."`
	Function []string `placeholder:"GLOB" help:"Only functions whose name or URN matches; repeatable."`
	Force    bool     `help:"Read complete windows again as well."`
}

// Run is called by the command line.
func (c *backfillCommand) Run(ctx context.Context, s streams) error {
	if !c.From.Before(c.To.Time) {
		return usagef("--from must be before --to")
	}
	log := c.logger(s.err)
	archiver, store, err := c.open(ctx, log, c.Function...)
	if err != nil {
		return err
	}
	defer store.Close()
	order := archive.Order{
		AskedBy: "backfill", Force: c.Force,
		Range: archive.Span{From: c.From.Time, To: c.To.Time},
	}
	return archiveShown(ctx, archiver, order, log, s)
}
