package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"archiver/internal/simulate"
)

// concurrency is how many calls an archiver makes at once by default.
const concurrency = 8

// measureLatency archives the day from a source that takes its time. What all
// calls wait for, shared among those under way at once, is the least that it
// can take; two processes wait for half of that.
func measureLatency(ctx context.Context, b *bench) ([]measure, error) {
	var measures []measure
	var alone time.Duration
	for _, latency := range []time.Duration{50 * time.Millisecond, 200 * time.Millisecond} {
		took, calls, err := b.latent(ctx, latency, 1)
		if err != nil {
			return nil, err
		}
		least := time.Duration(calls) * latency / concurrency
		measures = append(measures,
			atMost(fmt.Sprintf("%s a call: time / (calls x latency / %d)", latency, concurrency), "%.2f", took.Seconds()/least.Seconds(), 1.25))
		if alone == 0 {
			alone = took
		}
	}
	took, _, err := b.latent(ctx, 50*time.Millisecond, 2)
	if err != nil {
		return nil, err
	}
	return append(measures, atMost("50ms a call: time of two processes / one", "%.2f", took.Seconds()/alone.Seconds(), 0.60)), nil
}

// latent archives the day by so many processes at once.
func (b *bench) latent(ctx context.Context, latency time.Duration, processes int) (took time.Duration, calls int64, err error) {
	data, err := b.theDay(smallDay)
	if err != nil {
		return 0, 0, err
	}
	source, err := serve(simulate.Options{Data: data, Latency: latency})
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
	failed := make([]error, processes)
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() { _, failed[i] = b.backfill(ctx, between{source.url, database}) })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return 0, 0, err
	}
	took, stats := time.Since(began), source.Stats()
	b.note("%s a call, %d processes: %s for %d calls", latency, processes, took.Round(time.Millisecond), stats.ListAsyncInvocations)
	return took, stats.ListFunctions + stats.ListAsyncInvocations, b.drop(ctx, name)
}
