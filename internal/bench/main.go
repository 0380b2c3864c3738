// Command bench measures the archiver on one day of invocations and prints a
// table: over HTTP, through the official SDK, into a real PostgreSQL with fsync
// on. Seconds depend on the machine; the ratios are taken within one run.
//
// The day is the published one where ARCHIVER_TEST_TRACE names its prefix (140
// functions, 758,203 invocations), else a built-in one of the same size.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"text/tabwriter"
	"time"

	"archiver/internal/pgserver"
	"archiver/internal/simulate"
)

// date is the day replayed: any that is over will do.
var date = time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)

// A measure is one line of the table.
type measure struct{ name, value string }

// benchmarks in the order in which they run.
var benchmarks = []struct {
	name string
	run  func(ctx context.Context, b *bench) ([]measure, error)
}{
	{"day", measureDay},
	{"load", measureLoad},
}

// A bench is what the benchmarks share.
type bench struct {
	server *pgserver.Server
	data   *simulate.Data
	log    *slog.Logger
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("run", "", "run only benchmarks whose name matches this regular expression")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	b := &bench{log: slog.New(slog.DiscardHandler)}
	if b.data, err = theDay(); err != nil {
		return err
	}
	dir := filepath.Join(".archiver", "bench")
	if err := pgserver.Remove(ctx, dir); err != nil {
		return err
	}
	if b.server, err = pgserver.Start(ctx, pgserver.Options{Dir: dir, Log: b.log}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.Stop()) }()

	fmt.Fprintf(out, "%d cores, %d functions, %d invocations, fsync on\n\n", runtime.NumCPU(), len(b.data.Functions()), invocations(b.data))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, benchmark := range benchmarks {
		if !wanted.MatchString(benchmark.name) {
			continue
		}
		measures, err := benchmark.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", benchmark.name, err)
		}
		for _, m := range measures {
			fmt.Fprintf(table, "%s\t%s\t%s\n", benchmark.name, m.name, m.value)
		}
		// A table that cannot be written shows when the rest is.
		_ = table.Flush()
	}
	return table.Flush()
}

// theDay is what is archived.
func theDay() (*simulate.Data, error) {
	if prefix := os.Getenv("ARCHIVER_TEST_TRACE"); prefix != "" {
		return simulate.LoadTrace(prefix, date, 1)
	}
	return simulate.Generate(simulate.GenerateOptions{Functions: 140, Invocations: 758_203, Date: date, Seed: 1})
}

func invocations(data *simulate.Data) (n int) {
	for i := range data.Functions() {
		for range data.Records(i) {
			n++
		}
	}
	return n
}
