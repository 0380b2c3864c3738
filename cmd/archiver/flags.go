package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/metrics"
	"archiver/internal/serve"
	"archiver/internal/terminal"
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
	if f.LogFormat == "json" || f.LogFormat == "auto" && !terminal.Is(w) {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// ofSource is the group of the flags that each source may have values of its
// own for; all others are the process's.
const ofSource = "source"

// archiveFlags are what run, once, backfill, verify and check share.
type archiveFlags struct {
	logFlags
	sourceFlags `group:"source"`
	NoMigrate   bool     `help:"Do not bring the schema up first."`
	Source      []string `placeholder:"NAME,…" help:"Of a configuration file with several sources: these alone."`
	Pprof       string   `type:"loopback" placeholder:"ADDRESS" help:"Serve profiles on this loopback address. Default none."`
}

// profiles serves profiles if --pprof asks for them.
func (f *archiveFlags) profiles(log *slog.Logger) (stop func(), err error) {
	if f.Pprof == "" {
		return func() {}, nil
	}
	if stop, err = serve.Profiles(f.Pprof, log); err != nil {
		return nil, fmt.Errorf("%w (set --pprof to another address)", err)
	}
	return stop, nil
}

func (f *archiveFlags) shared() *archiveFlags { return f }

// sourceFlags say which source is read, and how.
type sourceFlags struct {
	Provider string `enum:"${providers}" default:"functiongraph" account:"" help:"The cloud service to read: ${enum}."`
	Region   string `account:"" placeholder:"NAME" help:"The region, such as cn-north-4."`
	Endpoint string `account:"" placeholder:"URL" help:"URL of the API, in place of the region's own."`
	Insecure bool   `help:"Permit an http:// endpoint beyond this machine."`
	signInFlags
	IncludePayload bool          `of:"functioncompute" help:"Of functioncompute: ask for what each function was called with as well, and keep it."`
	Functions      []string      `type:"globs" placeholder:"GLOB,…" help:"Globs on function name or URN; ! excludes. Default all."`
	Versions       string        `enum:"all,latest" default:"all" help:"Which versions of each function: all that the source lists, or the latest alone."`
	Settle         time.Duration `default:"10m" help:"How long after its end a window is left alone."`
	Concurrency    int           `type:"count" default:"8" help:"Calls under way at once."`
	RequestTimeout time.Duration `default:"30s" help:"Limit of one call."`
	Rate           float64       `type:"rate" placeholder:"NUMBER" help:"Calls a second at most; 0 for no limit."`

	metrics *metrics.Metrics // what is counted where a command serves them; else nil
}

// source prepares the source that the flags and the environment name.
func (f *sourceFlags) source(ctx context.Context, log *slog.Logger) (archive.Source, error) {
	o := extract.Options{
		Concurrency: f.Concurrency, Rate: f.Rate, Timeout: f.RequestTimeout,
		Clock: archive.SystemClock{}, Log: log,
	}
	if f.metrics != nil {
		o.Observe = f.metrics.Call(f.Provider)
	}
	return sources[f.Provider].open(ctx, f, extract.NewCaller(o), log)
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
