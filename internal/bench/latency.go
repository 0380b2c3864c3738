package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"archiver/internal/simulate"
)

// concurrency is the archiver's default number of concurrent calls.
const concurrency = 8

// measureLatency archives the day from a source that takes a while to answer.
// One process cannot take less than the waiting of all calls, divided by the
// calls that it makes at once. Two processes could halve that.
func measureLatency(ctx context.Context, b *bench) ([]measure, error) {
	var measures []measure
	for _, latency := range []time.Duration{50 * time.Millisecond, 200 * time.Millisecond} {
		alone, calls, err := b.backfillFrom(ctx, latency, 1)
		if err != nil {
			return nil, err
		}
		least := time.Duration(calls) * latency / concurrency
		two, _, err := b.backfillFrom(ctx, latency, 2)
		if err != nil {
			return nil, err
		}
		measures = append(measures,
			atMost(fmt.Sprintf("%s a call: time / (calls x latency / %d)", latency, concurrency), "%.2f", alone.Seconds()/least.Seconds(), 1.25),
			atMost(fmt.Sprintf("%s a call: time of two processes / one", latency), "%.2f", two.Seconds()/alone.Seconds(), 0.65))
	}
	return measures, nil
}

// backfillFrom archives the day from a source with this latency, with this many
// concurrent processes.
func (b *bench) backfillFrom(ctx context.Context, latency time.Duration, processes int) (took time.Duration, calls int64, err error) {
	data, err := b.day(smallDay)
	if err != nil {
		return 0, 0, err
	}
	source, err := serveAPI(simulate.Options{Data: data, Latency: latency})
	if err != nil {
		return 0, 0, err
	}
	defer source.stop()
	name := fmt.Sprintf("latency_%d_%d", latency.Milliseconds(), processes)
	database, err := b.database(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	var all errgroup.Group
	for range processes {
		all.Go(func() error {
			_, err := b.backfill(ctx, endpoints{source.url, database})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return 0, 0, err
	}
	took, stats := time.Since(began), source.Stats()
	// All calls of a first backfill: function lists, records, and the versions and
	// settings of each function once.
	calls = stats.ListFunctions + stats.ListFunctionVersions + stats.ListVersionAliases +
		stats.ListFunctionAsyncInvokeConfig + stats.ListAsyncInvocations
	b.progress("%s a call, %d processes: %s for %d calls", latency, processes, took.Round(time.Millisecond), calls)
	return took, calls, b.drop(ctx, name)
}
