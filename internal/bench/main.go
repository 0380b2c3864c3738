// Command bench measures the archiver and prints a table of figures, some with
// targets: through HTTP and the official SDK, into a real PostgreSQL with fsync
// on. Times depend on the machine; ratios are of times within one run.
//
// It archives a published day if that is available (see day), else a built-in day
// of the same size.
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
	"strings"
	"time"

	"archiver/internal/pgserver"
	"archiver/internal/simulate/dataset"
)

// benchmarks, in the order in which they run.
var benchmarks = []struct {
	name string
	run  func(ctx context.Context, b *bench) ([]measure, error)
}{
	{"calls", measureCalls},
	{"day", measureDay},
	{"latency", measureLatency},
	{"fair", measureFair},
	{"load", measureLoad},
	{"growth", measureGrowth},
	{"scale", measureScale},
}

// bench is what all benchmarks share.
type bench struct {
	server *pgserver.Server
	binary string                // of the archiver
	days   map[int]*dataset.Data // by the number of functions
	log    *slog.Logger
	notes  io.Writer // gets progress

	columns []column // of the archived day, after measureDay
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, notes io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("run", "", "run only this benchmark; print the results without keeping them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := checkName(*only); err != nil {
		return err
	}
	b := &bench{days: make(map[int]*dataset.Data), log: slog.New(slog.DiscardHandler), notes: notes}
	if b.binary, err = build(ctx); err != nil {
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

	var measures []measure
	for _, benchmark := range benchmarks {
		if *only != "" && benchmark.name != *only {
			continue
		}
		began := time.Now()
		b.progress("%s …", benchmark.name)
		found, err := benchmark.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", benchmark.name, err)
		}
		for i := range found {
			found[i].benchmark = benchmark.name
		}
		measures = append(measures, found...)
		b.progress("%s took %s", benchmark.name, time.Since(began).Round(time.Second))
	}
	fmt.Fprint(out, table(measures))
	if len(b.columns) > 0 {
		fmt.Fprint(out, "\n"+columnTable(b.columns))
	}
	if *only != "" {
		return nil
	}
	return b.keep(ctx, measures)
}

func checkName(name string) error {
	var names []string
	for _, benchmark := range benchmarks {
		if name == "" || name == benchmark.name {
			return nil
		}
		names = append(names, benchmark.name)
	}
	return fmt.Errorf("no benchmark is named %q: choose one of %s", name, strings.Join(names, ", "))
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(b.notes, format+"\n", args...)
}
