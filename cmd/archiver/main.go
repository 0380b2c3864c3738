// Command archiver keeps the history of serverless invocations in PostgreSQL.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"github.com/alecthomas/kong"

	"archiver/internal/archive"
	"archiver/internal/simulate"
)

// The exit codes.
const (
	exitDone        = 0   // everything asked for is archived
	exitIncomplete  = 1   // something could not be archived
	exitUsage       = 2   // wrong usage or configuration, nothing was tried
	exitInterrupted = 130 // interrupted, progress kept
)

// A usageError is a mistake in flags, environment or configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := interruptible(context.Background())
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// interruptible ends the context at the first SIGINT or SIGTERM, and the
// process at the second. Who presses Ctrl-C sees what goes on and can press it
// again; who sends SIGTERM waits for ten seconds as a rule.
func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			if s == os.Interrupt {
				cancel(archive.ErrFinish)
			}
			cancel(archive.ErrInterrupted)
		case <-ctx.Done():
			return
		}
		if _, again := <-signals; again {
			os.Exit(exitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

// run is the whole command: it parses, runs and says in one line what went
// wrong and what to do.
func run(ctx context.Context, args []string, s streams) int {
	err := command(ctx, args, s)
	if err == nil {
		return exitDone
	}
	var usage *usageError
	if errors.Is(context.Cause(ctx), archive.ErrInterrupted) {
		err = archive.ErrInterrupted // whatever else it made fail
	}
	fmt.Fprintf(s.err, "archiver: %s\n", oneLine(err.Error()))
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, archive.ErrInterrupted):
		return exitInterrupted
	default:
		return exitIncomplete
	}
}

// oneLine is a text without line breaks, fit for a terminal: what would move the
// cursor or change colours is shown as what it is. Names and errors come from
// the source.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
}

// helpPrinted ends a command that only printed its help or version: kong wants
// to exit then.
type helpPrinted struct{}

func command(ctx context.Context, args []string, s streams) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil, helpPrinted:
		default:
			panic(r)
		}
	}()
	var commands commands
	parser, err := kong.New(&commands,
		kong.Name("archiver"),
		kong.Description("Keeps the history of serverless invocations in PostgreSQL, and proves that nothing is missing.\n\n"+
			"Exit codes: 0 everything asked for is archived; 1 something could not be archived; "+
			"2 wrong usage or configuration, nothing was tried; 130 interrupted, progress kept."),
		kong.DefaultEnvars("ARCHIVER"),
		kong.Vars{"version": version(), "project": simulate.DefaultProjectID, "region": simulate.DefaultRegion, "providers": providers()},
		kong.Writers(s.out, s.err),
		kong.Exit(func(int) { panic(helpPrinted{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		durations,
	)
	if err != nil {
		return fmt.Errorf("set up the command line: %w", err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return usagef("%w (see archiver --help)", err)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(s, typed(args))
	return parsed.Run()
}
