package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
	"archiver/internal/page"
	"archiver/internal/settings"
	"archiver/internal/sources"
	"archiver/internal/supervise"
)

// reportCommand writes the status page as a file.
type reportCommand struct {
	settings.LogFlags
	Out             string        `required:"" type:"path" placeholder:"FILE" help:"The file to write. It needs no other file."`
	SourceRetention time.Duration `placeholder:"30d" help:"How long the source keeps records: the page shows which missing hours it deletes next. Default ${retentions}."`
}

func (c *reportCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	log := c.Logger(s.err)
	db, err := supervise.OpenReader(ctx, in, log)
	if err != nil {
		return err
	}
	defer db.Close()
	return writeReport(ctx, statusPage(read.New(db), keepsFor(c.SourceRetention), log), c.Out)
}

// keepsFor returns how long a provider keeps records: the time given, or if it is zero
// what its pages say.
func keepsFor(given time.Duration) func(provider string) time.Duration {
	return func(provider string) time.Duration { return cmp.Or(given, sources.Retention(provider)) }
}

// statusPage returns the page that shows the archive. keeps is how long a provider
// keeps records.
func statusPage(store *read.Archive, keeps func(provider string) time.Duration, log *slog.Logger) *page.Page {
	return &page.Page{Store: store, Clock: archive.SystemClock{}, Log: log, Version: version(), SourceRetention: keeps}
}

// writeReport writes the page to a file. If that fails, an old file is unchanged.
func writeReport(ctx context.Context, p *page.Page, name string) error {
	var report bytes.Buffer
	if err := p.Report(ctx, &report); err != nil {
		return err
	}
	part := name + ".part"
	file, err := os.Create(part)
	if err != nil {
		return settings.Usage(fmt.Errorf("write the report: %w", err))
	}
	_, err = file.Write(report.Bytes())
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the report: %w", err), os.Remove(part))
	}
	return nil
}
