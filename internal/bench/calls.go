package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/loop"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// measureCalls counts the calls to the source: for a day archived at once, and for
// hourly passes as run makes them.
func measureCalls(ctx context.Context, b *bench) ([]measure, error) {
	var measures []measure
	for _, functions := range []int{smallDay, largeDay} {
		m, err := b.callsOfDay(ctx, functions)
		if err != nil {
			return nil, err
		}
		measures = append(measures, m...)
	}
	hourly, err := b.callsHourly(ctx)
	return append(measures, hourly...), err
}

func (b *bench) callsOfDay(ctx context.Context, functions int) ([]measure, error) {
	data, err := b.day(functions)
	if err != nil {
		return nil, err
	}
	source, err := serveAPI(simulate.Options{Data: data})
	if err != nil {
		return nil, err
	}
	defer source.stop()
	name := fmt.Sprintf("calls_%d", functions)
	database, err := b.database(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := b.backfill(ctx, endpoints{source.url, database}); err != nil {
		return nil, err
	}
	calls, fewest := source.Stats().ListAsyncInvocations, source.fewest()
	day := fmt.Sprintf("day of %d functions: ", functions)
	return []measure{
		figure(day+"pages asked for, and fewest possible", "%d / %d", calls, fewest),
		atMost(day+"pages asked for / fewest possible", "%.3f", float64(calls)/float64(fewest), 1.10),
	}, b.drop(ctx, name)
}

// The defaults of run, except for the shorter lookback, which covers all windows
// that the passes read.
const (
	settle      = 10 * time.Minute
	verifyAfter = 6 * time.Hour
	workers     = 8
	hourlyBack  = 12 * time.Hour
	// The passes before calls are counted, until each pass compares as many counts
	// as it reads windows, and the passes that are counted.
	hourlyBefore, hourlyCounted = 8, 8
)

// callsHourly makes hourly passes over live data, as run and once do. It moves the
// clock by an hour between passes.
func (b *bench) callsHourly(ctx context.Context) ([]measure, error) {
	clock := new(movedClock)
	clock.set(date.Add(12*time.Hour + 17*time.Minute))
	data, err := dataset.Live(dataset.GenerateOptions{
		Functions: smallDay, Invocations: invocationsOf[smallDay], Seed: 1,
	}, clock.Now)
	if err != nil {
		return nil, err
	}
	source, err := serveAPI(simulate.Options{Data: data})
	if err != nil {
		return nil, err
	}
	defer source.stop()
	db, _, err := b.archive(ctx, "calls_hourly", workers)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	store := newStore(db)
	client, err := functiongraph.New(ctx, functiongraph.Options{
		Region: simulate.DefaultRegion, Endpoint: source.url, ProjectID: simulate.DefaultProjectID,
		AuthToken: extract.FixedSecret("token", token), // the SDK's signature would use the machine's clock
	}, extract.NewCaller(extract.Options{Concurrency: workers, Timeout: time.Minute, Clock: archive.SystemClock{}, Log: b.log}), b.log)
	if err != nil {
		return nil, err
	}
	archiver := &loop.Archiver{Source: client, Store: store, Clock: clock, Log: b.log, Settle: settle, Concurrency: workers}

	var calls, read int64
	for pass := range hourlyBefore + hourlyCounted {
		due := archive.DueBefore(clock.Now(), settle)
		before := source.Stats()
		_, err := archiver.Archive(ctx, archive.Order{
			AskedBy: "run", Older: true, Follow: true, VerifyAfter: verifyAfter, Rest: true,
			Range: archive.Span{From: due.Add(-hourlyBack), To: due},
		}, new(archive.Progress))
		if err != nil {
			return nil, err
		}
		if pass >= hourlyBefore {
			after := source.Stats()
			calls += after.ListAsyncInvocations - before.ListAsyncInvocations
			read += after.Records - before.Records
		}
		clock.set(clock.Now().Add(time.Hour))
	}
	windows := float64(smallDay * hourlyCounted)
	fewest := fewestHourly(data, clock.Now())
	return []measure{
		atMost("hourly run: calls / fewest to read each window", "%.3f", float64(calls)/float64(fewest), 1.10),
		figure("hourly run: calls a function and hour", "%.2f", float64(calls)/windows),
		figure("hourly run: the fewest to read each window", "%.2f", float64(fewest)/windows),
		figure("hourly run: records read a call", "%.0f", float64(read)/float64(calls)),
	}, nil
}

// fewestHourly is the smallest number of pages that the windows of the counted
// passes fit in. An empty window takes one page.
func fewestHourly(data *dataset.Data, after time.Time) (pages int) {
	to := archive.DueBefore(after.Add(-time.Hour), settle)
	from := to.Add(-hourlyCounted * time.Hour)
	for i := range data.Functions() {
		records := make(map[time.Time]int)
		for r := range data.Records(i) {
			if !r.Start.Before(from) && r.Start.Before(to) {
				records[archive.WindowOf(r.Start)]++
			}
		}
		for hour := from; hour.Before(to); hour = hour.Add(time.Hour) {
			pages += max(1, (records[hour]+pageSize-1)/pageSize)
		}
	}
	return pages
}

// movedClock shows the time that was set. Its sleeps are real.
type movedClock struct {
	archive.SystemClock
	now atomic.Pointer[time.Time]
}

func (c *movedClock) set(now time.Time) { c.now.Store(&now) }

// Now is the time that was set.
func (c *movedClock) Now() time.Time { return *c.now.Load() }
