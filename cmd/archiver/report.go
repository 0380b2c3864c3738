package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
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
	settings.DatabaseFlags
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
	return supervise.ConnectHint(writeReport(ctx, statusPage(read.New(db), keptFor(c.SourceRetention), log), c.Out))
}

// keptFor says how long sources keep records: the time given, or if it is zero what their
// last run was told, or what the provider's pages say.
func keptFor(given time.Duration) read.Times {
	return read.Times{Given: given, Default: sources.Retention}
}

// statusPage returns the page that shows the archive.
func statusPage(store *read.Archive, kept read.Times, log *slog.Logger) *page.Page {
	return &page.Page{Store: store, Clock: archive.SystemClock{}, Log: log, Version: version(), SourceRetention: kept.Default, Retention: kept.Given}
}

// writeReport writes the page to a file. If that fails, an old file is unchanged.
func writeReport(ctx context.Context, p *page.Page, name string) error {
	var report bytes.Buffer
	if err := p.Report(ctx, &report); err != nil {
		return err
	}
	if err := replaceFile(name, report.Bytes()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// replaceFile writes a file, with the permissions of the file that it replaces and, if this
// process may set the owner, with its owner. It replaces no folder, device or pipe. A crash
// leaves the old file, or the new one, or the old one and a part of the new one under
// another name. That name is random and is made here, so that nobody can have put a link
// under it.
func replaceFile(name string, content []byte) (err error) {
	// As root, a rename would also replace /dev/stdout, a link to a file or a pipe.
	if old, found := os.Stat(name); filepath.Dir(name) == "/dev" || found == nil && !old.Mode().IsRegular() {
		return settings.Usage(fmt.Errorf("%s is not a regular file: name one that is, or a new one", name))
	}
	part := filepath.Join(filepath.Dir(name), ".archiver-"+rand.Text())
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) //nolint:gosec // G302: the umask says who may read a report
	if err != nil {
		return settings.Usage(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	if old, found := os.Lstat(name); found == nil && old.Mode().IsRegular() {
		if of, ok := old.Sys().(*syscall.Stat_t); ok {
			_ = file.Chown(int(of.Uid), int(of.Gid)) // often only root may
		}
		err = file.Chmod(old.Mode().Perm())
	}
	if err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(part, name)
}
