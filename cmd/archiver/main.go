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
	"runtime/debug"
	"syscall"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/settings"
	"archiver/internal/terminal"
)

// The exit codes.
const (
	exitDone        = 0   // everything asked for is archived
	exitIncomplete  = 1   // something could not be archived
	exitUsage       = 2   // wrong usage or configuration, nothing was tried
	exitInterrupted = 130 // interrupted, progress kept
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// memoryLimit is from how much memory on the garbage collector works as often as it has to,
// unless GOMEMLIMIT says so: what a process has by design, with answers of any size.
const memoryLimit = 64<<20 + extract.Budget

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := interruptible(context.Background())
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// interruptible ends the context at the first SIGINT or SIGTERM, and the process
// at the second. After SIGINT, the pages in hand are finished: the user can press
// Ctrl-C again. After SIGTERM, the process stops at once: a service manager waits
// for ten seconds.
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
		if _, second := <-signals; second {
			os.Exit(exitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

// run parses and runs the command, and prints each error on one line. It returns
// the exit code.
func run(ctx context.Context, args []string, s streams) int {
	err := command(ctx, args, s)
	if err == nil {
		return exitDone
	}
	var usage *settings.UsageError
	if errors.Is(context.Cause(ctx), archive.ErrInterrupted) {
		err = archive.ErrInterrupted // other errors follow from it
	}
	for _, each := range splitErrors(err) {
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

// splitErrors returns the errors that are told one by one.
func splitErrors(err error) []error {
	if each, ok := err.(settings.Errors); ok { //nolint:errorlint // wrapped Errors are told on one line, with what wraps them
		return each
	}
	return []error{err}
}

// command parses the arguments and runs the command.
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
		Logger(w io.Writer) *slog.Logger
	}); ok {
		for _, warning := range in.Warnings {
			command.Logger(s.err).Warn(warning)
		}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(s, in, typed(args))
	return parsed.Run() // the method Run of the command
}
