package main

import (
	"context"
	"io"
	"log/slog"
	"path"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/load"
)

// logFlags say how to log. Logs go to standard error.
type logFlags struct {
	LogFormat string `enum:"auto,text,json" default:"auto" help:"Format of the log: auto is text on a terminal, else json."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"Least level of the log."`
}

func (f *logFlags) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	// The flag's enum has no word that a level does not know.
	_ = level.UnmarshalText([]byte(f.LogLevel))
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" || f.LogFormat == "auto" && terminal(w) == nil {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// archiveFlags are what run, once and backfill share.
type archiveFlags struct {
	logFlags
	signInFlags
	Provider       string        `enum:"${providers}" default:"functiongraph" help:"The cloud service to read: ${enum}."`
	Region         string        `help:"The region, such as cn-north-4."`
	Endpoint       string        `help:"URL of the API, in place of the region's own."`
	Insecure       bool          `help:"Permit an http:// endpoint beyond this machine."`
	IncludePayload bool          `help:"Of functioncompute: ask for what each function was called with as well, and keep it."`
	Functions      []string      `help:"Globs on function name or URN; ! excludes. Default all."`
	Versions       string        `enum:"all,latest" default:"all" help:"Which versions of each function: all that the source lists, or the latest alone."`
	Settle         time.Duration `default:"10m" help:"How long after its end a window is left alone."`
	Concurrency    int           `default:"8" help:"Calls under way at once."`
	RequestTimeout time.Duration `default:"30s" help:"Limit of one call."`
	Rate           float64       `help:"Calls a second at most; 0 for no limit."`
	NoMigrate      bool          `help:"Do not bring the schema up first."`
	Pprof          string        `placeholder:"ADDRESS" help:"Serve profiles on this loopback address. Default none."`
}

// databaseSecret is where the archive is, as the environment or the file has it
// now.
func databaseSecret() (string, error) { return extract.SecretFrom("DATABASE_URL").Read() }

// databaseURL is where the archive is.
func databaseURL() (string, error) {
	address, err := databaseSecret()
	if err != nil {
		return "", &usageError{err}
	}
	if address == "" {
		return "", usagef("DATABASE_URL is not set: name the database, such as postgres://user:password@host:5432/archiver")
	}
	if _, err := load.Config(address); err != nil {
		return "", usagef("DATABASE_URL: %w", err)
	}
	return address, nil
}

// source prepares the source that the flags and the environment name.
func (f *archiveFlags) source(ctx context.Context, log *slog.Logger) (archive.Source, error) {
	if f.Concurrency < 1 {
		return nil, usagef("--concurrency must be at least 1")
	}
	caller := extract.NewCaller(extract.Options{
		Concurrency: f.Concurrency, Rate: f.Rate, Timeout: f.RequestTimeout,
		Clock: archive.SystemClock{}, Log: log,
	})
	return sources[f.Provider](ctx, f, caller, log)
}

// open prepares an archiver. Close the store that comes with it.
func (f *archiveFlags) open(ctx context.Context, log *slog.Logger, globs ...string) (*archive.Archiver, *load.Store, error) {
	match, err := matcher(f.Functions)
	if err != nil {
		return nil, nil, err
	}
	only, err := matcher(globs)
	if err != nil {
		return nil, nil, err
	}
	address, err := databaseURL()
	if err != nil {
		return nil, nil, err
	}
	source, err := f.source(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	if !f.NoMigrate {
		if err := migrateUp(ctx, address, log); err != nil {
			return nil, nil, err
		}
	}
	store, err := load.Open(ctx, address, f.Concurrency, log, load.Rotated(databaseSecret))
	if err != nil {
		return nil, nil, connectHint(err)
	}
	a := &archive.Archiver{
		Source: source, Store: store, Clock: archive.SystemClock{}, Log: log,
		Match:  func(fn archive.Function) bool { return match(fn) && only(fn) },
		Settle: f.Settle, Concurrency: f.Concurrency,
	}
	if f.Versions == "all" {
		a.Versions = store
	}
	return a, store, nil
}

// matcher picks functions by globs on name or URN. Those with a ! exclude; no
// other ones means all.
func matcher(globs []string) (func(archive.Function) bool, error) {
	var include, exclude []string
	for _, g := range globs {
		g, not := strings.CutPrefix(strings.TrimSpace(g), "!")
		if _, err := path.Match(g, ""); err != nil {
			return nil, usagef("%q is not a glob: %w", g, err)
		}
		if not {
			exclude = append(exclude, g)
		} else {
			include = append(include, g)
		}
	}
	matches := func(globs []string, f archive.Function) bool {
		for _, g := range globs {
			// The patterns were read once already.
			byName, _ := path.Match(g, f.Name)
			byURN, _ := path.Match(g, f.URN)
			if byName || byURN {
				return true
			}
		}
		return false
	}
	return func(f archive.Function) bool {
		return (len(include) == 0 || matches(include, f)) && !matches(exclude, f)
	}, nil
}
