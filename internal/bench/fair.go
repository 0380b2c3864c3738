package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

const (
	huge  = "a-huge"  // one window of hugeRecords; first by name, so it is read first
	small = "b-small" // smallFunctions functions of smallRecords in the day
	tiny  = "c-tiny"  // one window of tinyRecords

	hugeRecords, smallRecords, tinyRecords = 300_000, 960, 300
	smallFunctions                         = 100

	fairLatency = 20 * time.Millisecond
)

// measureFair archives one huge window together with many small ones. Then it
// archives the huge window and a tiny window separately, for their memory.
func measureFair(ctx context.Context, b *bench) ([]measure, error) {
	data, err := unequalDay()
	if err != nil {
		return nil, err
	}
	slow, err := serveAPI(simulate.Options{Data: data, Latency: fairLatency})
	if err != nil {
		return nil, err
	}
	defer slow.stop()
	database, err := b.database(ctx, "fair")
	if err != nil {
		return nil, err
	}
	if _, err := b.backfill(ctx, endpoints{slow.url, database}); err != nil {
		return nil, err
	}
	waited, err := lastSmall(ctx, database)
	if err != nil {
		return nil, err
	}
	quick, err := serveAPI(simulate.Options{Data: data})
	if err != nil {
		return nil, err
	}
	defer quick.stop()
	var memory []float64
	for _, name := range []string{huge, tiny} {
		database, err := b.database(ctx, "fair_"+name)
		if err != nil {
			return nil, err
		}
		p, err := b.backfill(ctx, endpoints{quick.url, database}, "--function", name)
		if err != nil {
			return nil, err
		}
		memory = append(memory, p.memory)
		if err := b.drop(ctx, "fair_"+name); err != nil {
			return nil, err
		}
	}
	return []measure{
		atMost(fmt.Sprintf("a function of %d records, %d of %d: the last of these is done after this share of the time", hugeRecords, smallFunctions, smallRecords), "%.2f", waited, 0.5),
		atMost(fmt.Sprintf("peak resident memory on a window of %d records, MiB", hugeRecords), "%.1f", memory[0], 64),
		figure(fmt.Sprintf("the same on a window of %d, MiB", tinyRecords), "%.1f", memory[1]),
	}, b.drop(ctx, "fair")
}

// lastSmall is when the last small function was complete, as a share of the run's
// time.
func lastSmall(ctx context.Context, database string) (share float64, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `
		SELECT EXTRACT(EPOCH FROM last - started_at)::float8 / EXTRACT(EPOCH FROM finished_at - started_at)::float8
		  FROM runs, (
			SELECT max(completed_at) AS last
			  FROM archiver_internal.windows JOIN functions USING (function_id)
			 WHERE function_name LIKE $1) AS s`, small+"%").Scan(&share)
	if err != nil {
		return 0, fmt.Errorf("look up when the small functions were complete: %w", err)
	}
	return share, nil
}

// unequalDay makes a day of the huge, small and tiny functions. It writes a trace and
// loads it.
func unequalDay() (data *dataset.Data, err error) {
	dir, err := os.MkdirTemp("", "archiver-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	const minutes, busy = 24 * 60, 60 // records start in the hour from noon
	inv, run := new(strings.Builder), new(strings.Builder)
	inv.WriteString("HashFunction")
	for minute := range minutes {
		fmt.Fprintf(inv, ",minute_%d", minute+1)
	}
	run.WriteString("HashFunction")
	for _, percentile := range []int{0, 1, 25, 50, 75, 99, 100} {
		fmt.Fprintf(run, ",percentile_Average_%d", percentile)
	}
	function := func(name string, count func(minute int) int) {
		inv.WriteString("\n" + name)
		for minute := range minutes {
			fmt.Fprintf(inv, ",%d", count(minute))
		}
		run.WriteString("\n" + name + ",10,20,50,100,200,1000,2000")
	}
	atNoon := func(records int) func(int) int {
		return func(minute int) int {
			if minute < minutes/2 || minute >= minutes/2+busy {
				return 0
			}
			return records / busy
		}
	}
	function(huge, atNoon(hugeRecords))
	for i := range smallFunctions {
		function(fmt.Sprintf("%s-%03d", small, i), atNoon(smallRecords))
	}
	function(tiny, atNoon(tinyRecords))
	prefix := filepath.Join(dir, "day")
	for name, text := range map[string]*strings.Builder{"_inv.csv": inv, "_run.csv": run} {
		if err := os.WriteFile(prefix+name, []byte(text.String()+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return dataset.LoadTrace(prefix, date, 1)
}
