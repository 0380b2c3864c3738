package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/pgserver"
	"archiver/internal/serve"
	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
	"archiver/internal/sources"
	"archiver/internal/supervise"
	"archiver/internal/terminal"
)

// demoCommand shows everything on one machine, without any preparation.
type demoCommand struct {
	settings.LogFlags
	Dir       string `default:".archiver" help:"Folder of the private PostgreSQL."`
	Psql      bool   `help:"Open psql on the archive of the last demo."`
	Functions int    `env:"-" default:"36" help:"Functions of the built-in day."`
	Seed      uint64 `default:"1" help:"The same seed gives the same records."`
	Serve     bool   `help:"Serve the status page of the demo until Ctrl-C."`
}

func (c *demoCommand) Run(ctx context.Context, s streams) (err error) {
	screen := terminal.NewConsole(s.err)
	log := c.Logger(screen)
	dir := filepath.Join(c.Dir, "demo")
	if c.Psql {
		if _, err := os.Stat(dir); err != nil {
			return settings.Usagef("there is nothing in %s yet: run archiver demo first", dir)
		}
	} else if err := pgserver.Remove(ctx, dir); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "starting a private PostgreSQL …")
	server, err := pgserver.Start(ctx, pgserver.Options{Dir: dir, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if c.Psql {
		return psql(ctx, server, s)
	}
	if err := c.archive(ctx, server.URL(), log, streams{out: s.out, err: screen}); err != nil {
		return err
	}
	db, err := pg.Open(ctx, server.URL(), pageConnections, log)
	if err != nil {
		return err
	}
	defer db.Close()
	shown, report := statusPage(read.New(db), keptFor(0), log), filepath.Join(dir, "report.html")
	if err := writeReport(ctx, shown, report); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\nThe status page, as a file to open: %s\n", report)
	fmt.Fprintf(s.out, "\nThe archive stays in %s. Open psql on it:\n\n    %s demo --psql%s\n\n"+
		"and begin with: SELECT * FROM invocation_history LIMIT 10;\n", dir, os.Args[0], dirFlag(c.Dir))
	if c.Serve {
		return serveDemo(ctx, shown, log, s)
	}
	return nil
}

const (
	// pageConnections bounds how many requests for the page are answered at once.
	pageConnections = 4
)

// serveDemo serves the status page until the context ends.
func serveDemo(ctx context.Context, page http.Handler, log *slog.Logger, s streams) error {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	o := serve.Options{Address: "127.0.0.1:8080", Handler: mux, Log: log}
	web, err := serve.Start(ctx, o)
	if err != nil { // another process has the port
		o.Address = ""
		web, err = serve.Start(ctx, o)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\nThe status page is up until Ctrl-C: %s\n", web.URL())
	return web.Wait(ctx)
}

func dirFlag(dir string) string {
	if dir == ".archiver" {
		return ""
	}
	return " --dir " + dir
}

func psql(ctx context.Context, server *pgserver.Server, s streams) error {
	// psql handles Ctrl-C itself: it ends the query. This process must not end.
	signal.Ignore(os.Interrupt)
	cmd := server.Psql(ctx)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run psql: %w", err)
	}
	return nil
}

// demoSettle is how long after its end a window of the demo is first read.
const demoSettle = 10 * time.Minute

// demoDay is the last UTC day of which every window has settled at that time.
func demoDay(now time.Time) time.Time {
	return now.Add(-demoSettle).UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
}

// archive archives one day of the simulator, and prints what the day shows.
func (c *demoCommand) archive(ctx context.Context, databaseURL string, log *slog.Logger, s streams) error {
	day := demoDay(time.Now())
	source, stop, err := demoSource(ctx, dataset.GenerateOptions{
		Functions: c.Functions, Invocations: c.Functions * generatedPerFunction, Date: day, Seed: c.Seed,
	}, archive.SystemClock{}, log)
	if err != nil {
		return err
	}
	defer stop()
	set, err := supervise.Open(ctx, &settings.Settings{
		Sources: []settings.Source{source}, Database: extract.FixedSecret("the demo's PostgreSQL", databaseURL),
	}, supervise.Options{Log: log, Migrate: true})
	if err != nil {
		return err
	}
	defer set.DB.Close()
	order := archive.Order{AskedBy: "demo", Range: archive.Span{From: day, To: day.Add(24 * time.Hour)}}
	fmt.Fprintf(s.err, "archiving %s of %d functions …\n", day.Format(time.DateOnly), c.Functions)
	if err := supervise.ArchiveAndTell(ctx, set.Sources[0].Archiver, order, log, s.out, s.err, ""); err != nil {
		return err
	}
	clock := archive.SystemClock{}
	set.Maintenance(clock).After(ctx, clock.Now(), nil, log)
	return findings(ctx, read.New(set.DB), s.out)
}

// findings prints what an analyst asks first.
func findings(ctx context.Context, reader *read.Archive, w io.Writer) error {
	for _, q := range []struct{ title, query string }{
		{"Invocations and failure rate per function (the ten busiest)", `
			SELECT function_name AS function, count(*) AS invocations,
			       count(*) FILTER (WHERE status = 'FAIL') AS failed,
			       to_char(100.0 * count(*) FILTER (WHERE status = 'FAIL') / count(*), '990.00') AS "failed %"
			  FROM invocation_history
			 GROUP BY function_name
			 ORDER BY invocations DESC
			 LIMIT 10`},
		{"The slowest (95th percentile of seconds, at least 100 invocations)", `
			SELECT function_name AS function, count(*) AS invocations,
			       percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_seconds) AS median,
			       percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_seconds) AS p95,
			       max(duration_seconds) AS longest
			  FROM invocation_history
			 GROUP BY function_name
			HAVING count(*) >= 100
			 ORDER BY p95 DESC
			 LIMIT 5`},
		{"The busiest hours", `
			SELECT to_char(window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS hour,
			       count(*) AS invocations, count(DISTINCT function_name) AS functions
			  FROM invocation_history
			 GROUP BY window_start
			 ORDER BY invocations DESC
			 LIMIT 5`},
	} {
		fmt.Fprintf(w, "\n%s\n\n", q.title)
		if err := reader.Print(ctx, w, q.query); err != nil {
			return fmt.Errorf("query the demo: %w", err)
		}
	}
	return nil
}

// demoFaults keeps a few of the demo's records in flight for some hours.
const demoFaults = "inflight=0.0003,stage=8h,move=none"

// demoBegan is how long before the demo these records were queued.
const demoBegan = 6 * time.Hour

// demoSource returns the settings of a source of generated invocations. The
// simulator serves them on a loopback address until stop is called.
func demoSource(ctx context.Context, o dataset.GenerateOptions, clock archive.Clock, log *slog.Logger) (source settings.Source, stop func(), err error) {
	data, err := dataset.Generate(o)
	if err != nil {
		return source, nil, settings.Usage(err)
	}
	faults, err := simulate.ParseFaults(demoFaults)
	if err != nil {
		return source, nil, fmt.Errorf("prepare the simulator: %w", err)
	}
	// Only the simulator of this process takes this token.
	const token = "demo-token"
	ago := demoBegan
	api, err := simulate.New(simulate.Options{
		Data: data, Token: token, Faults: faults, Log: log,
		Now: func() time.Time { return clock.Now().Add(-ago) },
	})
	if err != nil {
		return source, nil, fmt.Errorf("prepare the simulator: %w", err)
	}
	ago = 0
	web, err := serve.Start(context.WithoutCancel(ctx), serve.Options{Handler: api, Log: log})
	if err != nil {
		return source, nil, fmt.Errorf("start the simulator: %w", err)
	}
	source.SourceFlags = settings.SourceFlags{
		Provider: functiongraph.Provider, Region: simulate.DefaultRegion, Endpoint: web.URL(), ProjectID: simulate.DefaultProjectID,
		Versions: "latest", Settle: demoSettle, SourceRetention: sources.Retention(functiongraph.Provider),
		Concurrency: 8, RequestTimeout: 30 * time.Second,
	}
	source.AuthToken = extract.FixedSecret("token", token)
	return source, web.Stop, nil
}
