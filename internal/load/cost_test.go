package load

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"archiver/internal/archive"
)

// The cost of rows in WAL, disk and memory. The test is not parallel, so that no other
// test adds to the counters. Images of full pages are off in tests; `make bench` has
// them.
func TestRowsCost(t *testing.T) { //nolint:paralleltest // see above
	const functions, pages = 4, 10
	a := newArchive(t)
	r := rand.New(rand.NewPCG(1, 2))
	load := make([][][]archive.Invocation, functions)
	for f := range load {
		for range pages {
			load[f] = append(load[f], plain(r, 500))
		}
	}
	keep := func() {
		for f := range load {
			c := a.claim(a.Function(fmt.Sprint("f", f)))
			for n, records := range load[f] {
				b := page(span(0, 24), noted, records...)
				if n == pages-1 {
					b = lastPage(span(0, 24), noted, records...)
				}
				commit(t, c, b)
			}
			if err := c.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	const rows = functions * pages * 500
	type costs struct{ wal, allocations float64 }
	cost := func(f func()) costs {
		var before, after runtime.MemStats
		from := value[string](a, `SELECT pg_current_wal_insert_lsn()::text`)
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return costs{
			wal:         value[float64](a, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn)::float8`, from) / rows,
			allocations: float64(after.Mallocs-before.Mallocs) / rows,
		}
	}
	keep() // on another day, which prepares statements; its table is made
	for f := range load {
		for _, records := range load[f] {
			for i := range records {
				records[i].RequestID = requestID(r)
				records[i].Start = records[i].Start.AddDate(0, 0, 1)
				records[i].End = records[i].End.AddDate(0, 0, 1)
			}
		}
	}
	first, again := cost(keep), cost(keep)
	size := value[float64](a, `
		SELECT sum(pg_total_relation_size(inhrelid))::float8 FROM pg_inherits WHERE inhparent = 'invocations_dated'::regclass`) / (2 * rows)
	t.Logf("a row: %.0f bytes, %.0f of WAL, %.2f allocations; read again %.1f of WAL, %.2f allocations",
		size, first.wal, first.allocations, again.wal, again.allocations)
	for what, over := range map[string]bool{
		"bytes a row":                     size > 230,
		"WAL a row":                       first.wal > 260,
		"allocations a record":            first.allocations > 6,
		"WAL a row that is there":         again.wal > 8,
		"allocations a record that is so": again.allocations > 24,
	} {
		if over {
			t.Errorf("too many %s", what)
		}
	}
}

// plain are records within a day, without errors. Their ids are in no order, as a
// source gives them.
func plain(r *rand.Rand, n int) []archive.Invocation {
	records := make([]archive.Invocation, n)
	for i := range records {
		start := today.Add(time.Duration(r.Int64N(int64(24 * time.Hour))))
		records[i] = archive.Invocation{
			RequestID: requestID(r), Status: archive.StatusSuccess, Start: start, End: start.Add(137 * time.Millisecond),
		}
	}
	return records
}

func requestID(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
}
