package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/settings"
	"archiver/internal/supervise"
)

// checkCommand checks that an archive can be made. It writes nothing.
type checkCommand struct {
	settings.ArchiveFlags
	settings.DueFlags
	PrintConfig bool `env:"-" help:"Print the settings and where each value comes from, secrets masked, and check nothing else."`
	JSON        bool `name:"json" help:"For programs."`
}

// Source returns the source that the flags describe.
func (c *checkCommand) Source() settings.Source {
	s := c.ArchiveFlags.Source()
	s.DueFlags = c.DueFlags
	return s
}

func (c *checkCommand) Run(ctx context.Context, s streams, in *settings.Settings) error {
	if c.PrintConfig {
		return in.Print(s.out)
	}
	log := c.Logger(s.err)
	address, err := in.DatabaseURL()
	if err != nil {
		return err
	}
	sources, err := supervise.OpenSources(ctx, in, supervise.Options{Log: log})
	if err != nil {
		return err
	}
	report := &checkReport{out: s.out}
	if c.JSON {
		report.out = io.Discard
	}
	report.ok("configuration", "complete%s", configurationFile(in))
	for _, source := range sources {
		report.source = source.Name
		if source.Err != nil {
			report.fail("credentials", "%v", source.Err)
		} else if err := checkSource(ctx, report, source); err != nil {
			return err
		}
	}
	report.source = ""
	checkDatabase(ctx, report, in, sources, !c.NoMigrate, address, log)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.JSON {
		if err := printJSON(s.out, report); err != nil {
			return err
		}
	}
	if report.Failed > 0 {
		return fmt.Errorf("%d of %d checks failed", report.Failed, len(report.Checks))
	}
	return nil
}

// configurationFile says which configuration file is used, if any.
func configurationFile(in *settings.Settings) string {
	switch {
	case in.File == "":
		return ""
	case in.Listed == 0:
		return ", with " + in.File
	}
	return fmt.Sprintf(", %d of the %d sources of %s", len(in.Sources), in.Listed, in.File)
}

// checkDatabase checks that the database can hold the archive. It connects as one who
// reads, and so it works for a role that may only read, and says so.
func checkDatabase(ctx context.Context, report *checkReport, in *settings.Settings, sources []*supervise.Source, migrates bool, address string, log *slog.Logger) {
	where := "database " + pg.Address(address)
	for _, way := range exposedWays(address) {
		report.warn(where, "%s: with sslmode=verify-full, and sslrootcert if its authority is your own, nobody on the way can read or change the archive", way)
	}
	db, err := supervise.Connect(ctx, in, log, pg.ReadOnly(), pg.OnPrimary())
	standby := errors.Is(err, pg.ErrStandby)
	if standby {
		report.fail(where, "%v", pg.ErrStandby)
		db, err = supervise.Connect(ctx, in, log, pg.ReadOnly())
	}
	if err != nil {
		report.fail(where, "%v", err)
		checkClocks(ctx, report, sources, nil)
		return
	}
	defer db.Close()
	checkClocks(ctx, report, sources, db)
	reader := read.New(db)
	empty, missing := false, 0
	if err = reader.Ping(ctx); err == nil {
		err = reader.MayRead(ctx)
	}
	if errors.Is(err, pg.ErrNoSchema) {
		empty, err = true, nil
	}
	if err == nil {
		missing, err = missingSteps(ctx, db)
	}
	if err == nil {
		err = db.Known(ctx)
	}
	if err == nil && missing > 0 && migrates && !standby {
		err = reader.MayCreate(ctx)
	}
	switch {
	case err != nil:
		report.fail(where, "%v", supervise.ConnectHint(err))
	case missing > 0 && !migrates:
		report.fail(where, "%d steps of the schema are missing: run archiver migrate up", missing)
	case empty:
		report.ok(where, "reached, it has no archive yet: the first run makes one, or archiver migrate up")
	case missing > 0:
		report.ok(where, "%d steps of the schema are missing: the next run applies them, or archiver migrate up", missing)
	default:
		report.ok(where, "reached, the schema is up to date")
		checkDays(ctx, report, sources, db)
	}
	if err != nil || empty {
		return
	}
	if !standby {
		if err := reader.MayWrite(ctx); err != nil {
			report.warn(where, "%v", err)
		}
	}
	checkLimits(ctx, report, sources, reader)
	checkRetention(ctx, report, sources, db)
}

// missingSteps returns how many steps of the migrations are not applied.
func missingSteps(ctx context.Context, db *pg.DB) (missing int, err error) {
	steps, err := db.Migrations(ctx)
	for _, step := range steps {
		if !step.Applied {
			missing++
		}
	}
	return missing, err
}

// checkSource checks that the credentials can list functions, and that the source
// keeps records of each function. It returns an error only if ctx ends.
func checkSource(ctx context.Context, report *checkReport, s *supervise.Source) error {
	source, match := s.Archiver.Source, s.Archiver.Match
	functions := slices.Clone(s.Archiver.Named)
	listed := 0
	for page, err := range source.Functions(ctx) {
		var notWhole *archive.ListError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &notWhole):
			report.fail("functions", "%v: those that it lists are archived, and each run ends as incomplete; ask the vendor if it stays so", err)
		case errors.Is(err, archive.ErrDenied) && len(s.Archiver.Named) > 0:
			report.ok("functions", "cannot be listed, %d are named and are archived: %v", len(s.Archiver.Named), err)
		case err != nil:
			report.fail("credentials", "%v", err)
			return nil
		}
		for _, f := range page {
			if listed++; match(f) && !slices.ContainsFunc(s.Archiver.Named, func(named archive.Function) bool { return named.URN == f.URN }) {
				functions = append(functions, f)
			}
		}
	}
	if listed > 0 || len(s.Archiver.Named) == 0 {
		report.ok("credentials", "accepted, %d functions listed", listed)
	}
	if len(functions) == 0 {
		report.fail("functions", "none was found: check the project, the region, and ARCHIVER_FUNCTIONS")
		return nil
	}
	if readable, err := checkInvocations(ctx, report, source, functions); err != nil || !readable {
		return err
	}
	settingsSource, ok := source.(archive.SettingsSource)
	if !ok {
		report.ok("functions", "%d, of which the source keeps records", len(functions))
		return nil
	}
	return checkStatusLogs(ctx, report, settingsSource, functions, s.Concurrency)
}

// checkStatusLogs checks that the source keeps records of each function. It asks
// about several functions at the same time, and reports them in their order. It
// returns an error only if ctx ends.
func checkStatusLogs(ctx context.Context, report *checkReport, source archive.SettingsSource, functions []archive.Function, concurrency int) error {
	var asking sync.WaitGroup
	answers := make([]chan statusLog, len(functions))
	slots := make(chan struct{}, concurrency)
	ctx, stop := context.WithCancelCause(ctx)
	defer asking.Wait()
	defer stop(nil)
	for i, f := range functions {
		answers[i] = make(chan statusLog, 1)
		asking.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i] <- readStatusLog(ctx, source, f)
		})
	}
	failed := 0
	var denied []error // of the functions so far, while all of them are denied
	for i, f := range functions {
		answer := <-answers[i]
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(answer.err, archive.ErrDenied) && len(denied) == i {
			if denied = append(denied, answer.err); len(denied) == min(maxDenied, len(functions)) {
				// Reading settings is a permission of its own: it is missing for all functions.
				report.fail("settings", "%v; without settings it is unknown whether the source keeps records", denied[0])
				return nil
			}
			continue
		}
		for j, err := range denied {
			report.fail("function "+functions[j].Name, "%v", err)
		}
		denied = nil
		switch {
		case answer.err != nil:
			report.fail("function "+f.Name, "%v", answer.err)
			if failed++; failed == maxCheckFailures {
				report.fail("functions", "%d more are not asked about", len(functions)-i-1)
				return nil
			}
		case answer.on == nil:
			report.ok("function "+f.Name, "the source does not say whether it keeps records: if none come, turn on enable_async_status_log")
		case *answer.on:
			report.ok("function "+f.Name, "the source keeps records")
		default:
			report.fail("function "+f.Name, "status log off, the source keeps no records: turn on enable_async_status_log (asynchronous invocation settings), or exclude the function with ARCHIVER_FUNCTIONS=!%s", f.Name)
		}
	}
	return nil
}

// maxDenied is the number of functions that are asked about: if all of them are
// refused, the permission is missing.
const maxDenied = 20

// checkInvocations checks that invocations may be read. A refusal may concern one
// function alone. It returns an error only if ctx ends.
func checkInvocations(ctx context.Context, report *checkReport, source archive.Source, functions []archive.Function) (readable bool, err error) {
	var denied []error
	for _, f := range functions[:min(len(functions), maxDenied)] {
		err := mayRead(ctx, source, f)
		switch {
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		case errors.Is(err, archive.ErrDenied):
			denied = append(denied, err)
			continue
		case err != nil:
			report.fail("invocations", "%v", err)
			return false, nil
		}
		for i, err := range denied {
			report.fail("function "+functions[i].Name, "%v", err)
		}
		report.ok("invocations", "may be read")
		return true, nil
	}
	report.fail("invocations", "%v", denied[0])
	return false, nil
}

// mayRead asks for one invocation of a function. A function that is gone by now is
// no error.
func mayRead(ctx context.Context, source archive.Source, f archive.Function) error {
	now := time.Now().Truncate(time.Second)
	q := archive.Query{Function: f, From: now.Add(-time.Hour), To: now, Limit: 1}
	for page, err := range source.Pages(ctx, q) {
		page.Release()
		if err != nil && !errors.Is(err, archive.ErrGone) {
			return err
		}
		break
	}
	return nil
}

// maxCheckFailures bounds the functions whose settings cannot be read: the retries
// of each take a while.
const maxCheckFailures = 3

// A statusLog says whether the source keeps records of a function. on is nil if the
// source does not say.
type statusLog struct {
	on  *bool
	err error
}

func readStatusLog(ctx context.Context, source archive.SettingsSource, f archive.Function) statusLog {
	settings, err := archive.ReadSettings(ctx, source, f)
	for _, s := range settings.Settings {
		if s.URN == f.URN {
			return statusLog{on: s.StatusLog}
		}
	}
	return statusLog{err: err}
}

// exposedWays tells of each host of a database address that is beyond this machine how it
// may be reached: in a way that others on the network could read or change.
func exposedWays(address string) (ways []string) {
	config, err := pg.Config(address)
	if err != nil {
		return nil
	}
	hosts := []*pgconn.FallbackConfig{{Host: config.ConnConfig.Host, TLSConfig: config.ConnConfig.TLSConfig}}
	for _, host := range append(hosts, config.ConnConfig.Fallbacks...) {
		network, _ := pgconn.NetworkAddress(host.Host, host.Port)
		how := ""
		switch {
		case network == "unix", strings.HasPrefix(host.Host, "@"), extract.Loopback(host.Host):
		case host.TLSConfig == nil:
			how = "without TLS"
		case !host.TLSConfig.InsecureSkipVerify:
		case host.TLSConfig.VerifyPeerCertificate == nil:
			how = "with TLS, but without checking the certificate"
		default:
			how = "with TLS, but without checking that the certificate is of this host"
		}
		if way := host.Host + " may be reached " + how; how != "" && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return ways
}
