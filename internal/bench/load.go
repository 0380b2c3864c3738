package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/simulate/dataset"
)

const (
	// rounds is how often each ratio is measured. The median is shown.
	rounds = 5
	// loadAtMost is how many records of a function are loaded. It keeps rounds
	// short, and no loader works alone on the largest function at the end.
	loadAtMost = 10_000
)

// work is one function's day in batches.
type work struct {
	function archive.Function
	pages    [][]archive.Invocation
}

// loaders are how many functions are committed at once.
var loaders = []int{1, 4}

// measureLoad commits the day's pages through the store, checks and checkpoint
// included. The limits are COPY of the same rows in the same batches by one
// connection: into an indexed day, which is the least that keeps request ids
// unique, and into a bare heap. All of them run in each round, so that a noisy
// machine slows all of them.
func measureLoad(ctx context.Context, b *bench) ([]measure, error) {
	data, err := b.day(smallDay)
	if err != nil {
		return nil, err
	}
	var measures []measure
	for _, test := range []struct {
		size    int
		targets map[int]float64 // of the indexed day's COPY, by loaders
	}{
		{500, map[int]float64{1: 0.80, 4: 1.30}},
		{5000, nil},
	} {
		day := pages(data, test.size, loadAtMost)
		ofIndexed, ofBare := map[int][]float64{}, map[int][]float64{}
		var last cost
		for range rounds {
			indexed, err := b.copyDay(ctx, day, true)
			if err != nil {
				return nil, fmt.Errorf("copy into an indexed day: %w", err)
			}
			bare, err := b.copyDay(ctx, day, false)
			if err != nil {
				return nil, fmt.Errorf("copy into a bare heap: %w", err)
			}
			for _, n := range loaders {
				c, err := b.commit(ctx, day, n)
				if err != nil {
					return nil, err
				}
				ofIndexed[n] = append(ofIndexed[n], indexed.Seconds()/c.took.Seconds())
				ofBare[n] = append(ofBare[n], bare.Seconds()/c.took.Seconds())
				if n == 1 {
					last = c
				}
			}
		}
		for _, n := range loaders {
			of := fmt.Sprintf(", %d a batch, %d loaders", test.size, n)
			share := figure("share of COPY into an indexed day"+of, "%.2f", median(ofIndexed[n]))
			if target, ok := test.targets[n]; ok {
				share = atLeast(share.what, "%.2f", median(ofIndexed[n]), target)
			}
			measures = append(measures, share, figure("share of COPY into a bare heap"+of, "%.2f", median(ofBare[n])))
		}
		measures = append(measures,
			figure(fmt.Sprintf("allocations a record, %d a batch", test.size), "%.2f", last.allocations),
			figure(fmt.Sprintf("bytes allocated a record, %d a batch", test.size), "%.0f", last.bytes))
	}
	trips, err := b.roundTrips(ctx, pages(data, pageSize, loadAtMost))
	if err != nil {
		return nil, fmt.Errorf("count round trips: %w", err)
	}
	return append(measures, figure("round trips a page of 500", "%.1f", trips)), nil
}

// cost is what committing a day takes: its time, and allocations and bytes
// allocated a record.
type cost struct {
	took               time.Duration
	allocations, bytes float64
}

// pages is the day as a source returns it, newest first, with at most this many
// records of each function.
func pages(data *dataset.Data, size, most int) []work {
	var day []work
	for i, name := range data.Functions() {
		var all []archive.Invocation
		for r := range data.Records(i) {
			inv := archive.Invocation{RequestID: r.RequestID, Status: string(r.Status), ErrorMessage: r.ErrorMessage, Start: r.Start, End: r.End}
			if r.ErrorCode != 0 {
				inv.ErrorCode = fmt.Sprint(r.ErrorCode)
			}
			all = append(all, inv)
		}
		slices.Reverse(all)
		all = all[:min(len(all), most)]
		day = append(day, work{
			function: archive.Function{URN: "urn:fss:bench:" + name, Name: name},
			pages:    slices.Collect(slices.Chunk(all, size)),
		})
	}
	return day
}

// commit commits the day with this many concurrent loaders, one function each.
func (b *bench) commit(ctx context.Context, day []work, loaders int) (c cost, err error) {
	db, _, err := b.archive(ctx, "load", loaders)
	if err != nil {
		return c, err
	}
	defer db.Close()
	store := newStore(db)
	ids, err := storeFunctions(ctx, store, day)
	if err != nil {
		return c, err
	}
	records := 0
	for _, w := range day {
		for _, page := range w.pages {
			records += len(page)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	all, loading := errgroup.WithContext(ctx)
	all.SetLimit(loaders)
	for _, w := range day {
		all.Go(func() error { return commitFunction(loading, store, ids[w.function.URN], w.pages) })
	}
	if err := all.Wait(); err != nil {
		return c, err
	}
	c.took = time.Since(began)
	runtime.ReadMemStats(&after)
	c.allocations = float64(after.Mallocs-before.Mallocs) / float64(records)
	c.bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(records)
	db.Close()
	return c, b.drop(ctx, "load")
}

func storeFunctions(ctx context.Context, store *load.Store, day []work) (map[string]archive.Known, error) {
	functions := make([]archive.Function, len(day))
	for i, w := range day {
		functions[i] = w.function
	}
	known, err := store.SeeFunctions(ctx, archive.SourceID{Provider: "bench"}, functions, date)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]archive.Known, len(known))
	for _, k := range known {
		ids[k.URN] = k
	}
	return ids, nil
}

func commitFunction(ctx context.Context, store *load.Store, function archive.Known, pages [][]archive.Invocation) error {
	claim, err := store.Claim(ctx, function)
	if err != nil {
		return err
	}
	span := archive.Span{From: date, To: date.AddDate(0, 0, 1)}
	var own []archive.Invocation // a commit may reorder them
	for i, page := range pages {
		own = append(own[:0], page...)
		batch := archive.Batch{Invocations: own, Walk: archive.Walk{Span: span}, At: date}
		if i == len(pages)-1 {
			batch.Outcome = &archive.Outcome{State: archive.StateComplete}
		} else {
			batch.Walk.Cursor, batch.Walk.Seen = archive.Cursor(fmt.Sprint(i)), i*len(page)
		}
		if _, err := claim.Commit(ctx, batch); err != nil {
			return errors.Join(err, claim.Release(ctx))
		}
	}
	return claim.Release(ctx)
}
