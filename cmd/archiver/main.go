// Command archiver keeps the history of serverless invocations in PostgreSQL.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"archiver/internal/archive"
	"archiver/internal/terminal"
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
	for _, each := range apart(err) {
		fmt.Fprintf(s.err, "archiver: %s\n", terminal.Line(each.Error()))
	}
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, archive.ErrInterrupted):
		return exitInterrupted
	default:
		return exitIncomplete
	}
}

// apart are the errors that one error has several of.
func apart(err error) []error {
	if s, ok := err.(several); ok { //nolint:errorlint // what is wrapped is told in one line with what wraps it
		return s
	}
	return []error{err}
}

func command(ctx context.Context, args []string, s streams) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil, helpPrinted:
		default:
			panic(r)
		}
	}()
	parsed, in, err := parse(args, s)
	if err != nil {
		return err
	}
	if command, ok := parsed.Selected().Target.Addr().Interface().(interface {
		logger(io.Writer) *slog.Logger
	}); ok {
		for _, warning := range in.warnings {
			command.logger(s.err).Warn(warning)
		}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(s, in, typed(args))
	return parsed.Run()
}
