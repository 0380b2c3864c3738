package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/terminal"
)

// checkCommand says what would keep an archive from being made. It writes
// nothing.
type checkCommand struct {
	archiveFlags
	PrintConfig bool `env:"-" help:"Print what is in force and where each value comes from, secrets masked, and check nothing else."`
}

// Run is called by the command line.
func (c *checkCommand) Run(ctx context.Context, s streams, in *inForce) error {
	if c.PrintConfig {
		return in.printConfig(s.out)
	}
	log := c.logger(s.err)
	address, err := in.databaseURL()
	if err != nil {
		return err
	}
	set, err := in.openSources(ctx, log)
	if err != nil {
		return err
	}
	report := &checked{out: s.out}
	report.well("configuration", "complete%s", in.from())
	for _, o := range set.sources {
		report.source = o.name
		if o.err != nil {
			report.fault("credentials", "%v", o.err)
		} else if err := o.commands.Check.checkSource(ctx, report, o.archiver.Source, o.archiver.Match); err != nil {
			return err
		}
	}
	report.source = ""
	c.checkDatabase(ctx, report, address, log)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if report.faults > 0 {
		return fmt.Errorf("%d of %d checks failed", report.faults, report.lines)
	}
	return nil
}

// from says which file the configuration is of, if any.
func (in *inForce) from() string {
	switch {
	case in.file == nil:
		return ""
	case !in.file.Several:
		return ", with " + in.file.Path
	}
	return fmt.Sprintf(", %d of the %d sources of %s", len(in.sources), len(in.file.Sources), in.file.Path)
}

// checked is what was checked so far, a line each.
type checked struct {
	out           io.Writer
	source        string // whose lines come; empty for those of the process
	lines, faults int
}

func (r *checked) line(how, what, format string, args ...any) {
	r.lines++
	if r.source != "" {
		what = r.source + ": " + what
	}
	fmt.Fprintf(r.out, "%-4s  %s: %s\n", how, terminal.Line(what), terminal.Line(fmt.Sprintf(format, args...)))
}

func (r *checked) well(what, format string, args ...any) { r.line("ok", what, format, args...) }

func (r *checked) fault(what, format string, args ...any) {
	r.faults++
	r.line("FAIL", what, format, args...)
}

// checkDatabase says whether the archive can be kept there.
func (c *checkCommand) checkDatabase(ctx context.Context, report *checked, address string, log *slog.Logger) {
	where := "database " + pg.Address(address)
	db, err := pg.Open(ctx, address, 1, log)
	if err != nil {
		report.fault(where, "%v", connectHint(err))
		return
	}
	defer db.Close()
	store := read.New(db)
	// To ask for the steps of a schema that is not there would begin to make it.
	err = store.Ping(ctx)
	missing := 0
	if err == nil {
		missing, err = missingSteps(ctx, address)
	}
	behind := errors.Is(err, pg.ErrNoSchema) || missing > 0
	if behind && !c.NoMigrate {
		err = store.MayCreate(ctx)
	}
	switch {
	case behind && err == nil && missing == 0:
		report.well(where, "reached, there is no archive in it yet: the first run makes it, or archiver migrate up")
	case behind && err == nil && !c.NoMigrate:
		report.well(where, "%d steps of the schema are missing: the next run applies them, or archiver migrate up", missing)
	case behind && err == nil:
		report.fault(where, "%d steps of the schema are missing: run archiver migrate up", missing)
	case err != nil:
		report.fault(where, "%v", connectHint(err))
	default:
		report.well(where, "reached, the schema is up to date")
	}
}

// missingSteps is how many steps the schema lacks.
func missingSteps(ctx context.Context, address string) (missing int, err error) {
	m, err := pg.NewMigrator(address)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	steps, err := m.Status(ctx)
	for _, step := range steps {
		if !step.Applied {
			missing++
		}
	}
	return missing, err
}

// checkSource says whether the credentials let functions be listed, and whether
// the source keeps records of each of them. Its error is that of ctx.
func (c *checkCommand) checkSource(ctx context.Context, report *checked, source archive.Source, match func(archive.Function) bool) error {
	var functions []archive.Function
	listed := 0
	for page, err := range source.Functions(ctx) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			report.fault("credentials", "%v", err)
			return nil
		}
		for _, f := range page {
			if listed++; match(f) {
				functions = append(functions, f)
			}
		}
	}
	report.well("credentials", "accepted, %d functions listed", listed)
	if len(functions) == 0 {
		report.fault("functions", "none was found: check the project, the region, and ARCHIVER_FUNCTIONS")
		return nil
	}
	if err := mayRead(ctx, source, functions[0]); err != nil {
		report.fault("invocations", "%v", err)
		return ctx.Err()
	}
	report.well("invocations", "may be read")
	telling, ok := source.(archive.SettingsSource)
	if !ok {
		report.well("functions", "%d, of which the source keeps records", len(functions))
		return nil
	}
	var asking sync.WaitGroup
	said := make([]chan keeps, len(functions))
	slots := make(chan struct{}, c.Concurrency)
	ctx, stop := context.WithCancelCause(ctx)
	defer asking.Wait()
	defer stop(nil)
	for i, f := range functions {
		said[i] = make(chan keeps, 1)
		asking.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			said[i] <- keepsRecords(ctx, telling, f)
		})
	}
	failed := 0
	for i, f := range functions {
		k := <-said[i]
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(k.err, archive.ErrDenied):
			// A permission of its own: the others lack it as well.
			report.fault("settings", "%v; without them nothing tells whether the source keeps records", k.err)
			return nil
		case k.err != nil:
			report.fault("function "+f.Name, "%v", k.err)
			if failed++; failed == checkFailures {
				report.fault("functions", "%d more are not asked about", len(functions)-i-1)
				return nil
			}
		case k.log == nil:
			report.well("function "+f.Name, "the source does not say whether it keeps records: should none come, turn its enable_async_status_log on")
		case *k.log:
			report.well("function "+f.Name, "the source keeps records")
		default:
			report.fault("function "+f.Name, "status log off, the source keeps no records: turn enable_async_status_log on (asynchronous invocation settings), or leave it out with ARCHIVER_FUNCTIONS=!%s", f.Name)
		}
	}
	return nil
}

// mayRead asks for one invocation of a function. One that is gone since is
// none of ours.
func mayRead(ctx context.Context, source archive.Source, f archive.Function) error {
	now := time.Now().Truncate(time.Second)
	q := archive.Query{Function: f, From: now.Add(-time.Hour), To: now, Limit: 1}
	for _, err := range source.Pages(ctx, q) {
		if err != nil && !errors.Is(err, archive.ErrGone) {
			return err
		}
		break
	}
	return nil
}

// checkFailures is how many functions are asked about in vain: each is tried
// again for a while.
const checkFailures = 3

// keeps is whether the source keeps records of a function; log is nil where it
// does not say.
type keeps struct {
	log *bool
	err error
}

func keepsRecords(ctx context.Context, source archive.SettingsSource, f archive.Function) keeps {
	settings, err := archive.ReadSettings(ctx, source, f)
	for _, s := range settings.Settings {
		if s.URN == f.URN {
			return keeps{log: s.StatusLog}
		}
	}
	return keeps{err: err}
}
