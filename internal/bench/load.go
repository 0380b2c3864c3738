package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/simulate"
)

// rounds are interleaved, and the median of each ratio is shown.
const rounds = 3

// A work is one function's day, cut into batches.
type work struct {
	function archive.Function
	pages    [][]archive.Invocation
}

// measureLoad commits the day's pages through the store, checks and checkpoint
// included, and copies the same rows in the same batches into a heap without
// an index, by one connection: the limit.
func measureLoad(ctx context.Context, b *bench) ([]measure, error) {
	var measures []measure
	for _, size := range []int{500, 5000} {
		day := pages(b.data, size)
		shares := map[int][]float64{}
		for round := range rounds {
			limit, err := b.copyBare(ctx, fmt.Sprintf("bare_%d_%d", size, round), day)
			if err != nil {
				return nil, err
			}
			for _, loaders := range []int{1, 4} {
				took, err := b.commit(ctx, fmt.Sprintf("load_%d_%d_%d", size, loaders, round), day, loaders)
				if err != nil {
					return nil, err
				}
				shares[loaders] = append(shares[loaders], limit.Seconds()/took.Seconds())
			}
		}
		for _, loaders := range []int{1, 4} {
			slices.Sort(shares[loaders])
			measures = append(measures, measure{
				fmt.Sprintf("share of plain COPY, %d a batch, %d loaders", size, loaders),
				fmt.Sprintf("%.2f", shares[loaders][rounds/2]),
			})
		}
	}
	return measures, nil
}

// pages is the day as a source would give it: newest first.
func pages(data *simulate.Data, size int) []work {
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
		day = append(day, work{
			function: archive.Function{URN: "urn:fss:bench:" + name, Name: name},
			pages:    slices.Collect(slices.Chunk(all, size)),
		})
	}
	return day
}

// commit keeps the day with so many loaders at once, a function each.
func (b *bench) commit(ctx context.Context, name string, day []work, loaders int) (time.Duration, error) {
	address, err := b.database(ctx, name)
	if err != nil {
		return 0, err
	}
	migrator, err := load.NewMigrator(address)
	if err != nil {
		return 0, err
	}
	defer migrator.Close()
	if _, err := migrator.Up(ctx); err != nil {
		return 0, err
	}
	store, err := load.Open(ctx, address, loaders, b.log)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	functions := make([]archive.Function, len(day))
	for i, w := range day {
		functions[i] = w.function
	}
	known, err := store.SeeFunctions(ctx, archive.SourceID{Provider: "bench"}, functions, date)
	if err != nil {
		return 0, err
	}
	ids := make(map[string]archive.Known, len(known))
	for _, k := range known {
		ids[k.URN] = k
	}

	queue := make(chan work)
	failed := make(chan error, loaders)
	began := time.Now()
	var all sync.WaitGroup
	for range loaders {
		all.Go(func() {
			for w := range queue {
				if err := commitFunction(ctx, store, ids[w.function.URN], w.pages); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for _, w := range day {
		select {
		case queue <- w:
		case err := <-failed:
			return 0, err
		}
	}
	close(queue)
	all.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return 0, err
	default:
		return took, nil
	}
}

func commitFunction(ctx context.Context, store *load.Store, function archive.Known, pages [][]archive.Invocation) error {
	claim, err := store.Claim(ctx, function)
	if err != nil {
		return err
	}
	span := archive.Span{From: date, To: date.AddDate(0, 0, 1)}
	for i, page := range pages {
		batch := archive.Batch{Invocations: slices.Clone(page), Walk: archive.Walk{Span: span}, At: date}
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

// copyBare is the limit: pgx's CopyFrom of the same rows, in the same batches,
// a transaction each, by one connection into a heap without an index.
func (b *bench) copyBare(ctx context.Context, name string, day []work) (time.Duration, error) {
	address, err := b.database(ctx, name)
	if err != nil {
		return 0, err
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `
		CREATE TABLE bare (
			first_archived_at timestamptz, updated_at timestamptz, start_time timestamptz, end_time timestamptz,
			function_id integer, request_id varchar(64) COLLATE "C", status text, error_code text, error_message text)`); err != nil {
		return 0, err
	}
	columns := []string{
		"first_archived_at", "updated_at", "start_time", "end_time",
		"function_id", "request_id", "status", "error_code", "error_message",
	}
	began := time.Now()
	for i, w := range day {
		for _, page := range w.pages {
			source := pgx.CopyFromSlice(len(page), func(j int) ([]any, error) {
				inv := &page[j]
				return []any{date, date, inv.Start, inv.End, int32(i), inv.RequestID, inv.Status, orNil(inv.ErrorCode), orNil(inv.ErrorMessage)}, nil
			})
			if _, err := conn.CopyFrom(ctx, pgx.Identifier{"bare"}, columns, source); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(began), nil
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
