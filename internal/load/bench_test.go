package load

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// BenchmarkCommit keeps pages of new records of one function. After each page,
// pgx's CopyFrom writes the same rows by one connection into two limits: a heap
// with the unique index of a day, and one without an index. The quarter of the
// fastest pages is compared: a busy machine slows the others.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bench := newBenchmark(b, n)
			var ours, indexed, bare []time.Duration
			for b.Loop() {
				records := bench.page()
				began := time.Now()
				commit(b, bench.claim, page(bench.span, noted, records...))
				ours = append(ours, time.Since(began))
				indexed = append(indexed, bench.copy("indexed", records))
				bare = append(bare, bench.copy("bare", records))
			}
			quarter := func(d []time.Duration) float64 {
				slices.Sort(d)
				return d[len(d)/4].Seconds()
			}
			b.ReportMetric(quarter(ours)*1000, "ms/page")
			b.ReportMetric(quarter(indexed)/quarter(ours), "of-indexed-COPY")
			b.ReportMetric(quarter(bare)/quarter(ours), "of-bare-COPY")
		})
	}
}

// BenchmarkCommitAgain reads pages again that are there.
func BenchmarkCommitAgain(b *testing.B) {
	bench := newBenchmark(b, 500)
	records := bench.page()
	commit(b, bench.claim, page(bench.span, noted, records...))
	for b.Loop() {
		commit(b, bench.claim, page(bench.span, noted, records...))
	}
	b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// A benchmark is an archive with a month of some thousand records a day, and two plain tables.
type benchmark struct {
	b      *testing.B
	claim  *claim
	conn   *pgx.Conn
	span   archive.Span
	n      int
	serial int
}

func newBenchmark(b *testing.B, n int) *benchmark {
	b.Helper()
	a := newArchive(b)
	c := a.newClaim("f")
	for n := range 30 {
		day := hours(today.AddDate(0, 0, n-15), 24)
		commit(b, c, page(day, noted, many(5000, day, fmt.Sprint("before", n))...))
	}
	if err := c.Release(b.Context()); err != nil {
		b.Fatal(err)
	}
	c = a.newClaim("f")
	a.Exec(`CREATE TABLE bare (LIKE invocations)`)
	a.Exec(`CREATE TABLE indexed (LIKE invocations)`)
	a.Exec(`CREATE UNIQUE INDEX ON indexed (request_id)`)
	conn, err := pgx.Connect(b.Context(), a.URL)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.WithoutCancel(b.Context())) }) // the database goes at once
	return &benchmark{b: b, claim: c, conn: conn, span: hours(today, 24), n: n}
}

// page is one of fresh records within some minutes, as a busy function's are;
// their ids are in no order, as a source's are.
func (m *benchmark) page() []archive.Invocation {
	m.serial++
	records := make([]archive.Invocation, m.n)
	for i := range records {
		mixed := uint64(m.serial*m.n+i) * 0x9e3779b97f4a7c15
		start := m.span.From.Add(time.Duration(m.serial%100)*10*time.Minute + time.Duration(i)*time.Millisecond)
		records[i] = archive.Invocation{
			RequestID: fmt.Sprintf("%08x-%04x-4000-8000-%012x", mixed>>32, mixed>>16&0xffff, mixed&0xffffffffffff),
			Status:    archive.StatusSuccess, Start: start, End: start.Add(137 * time.Millisecond),
		}
	}
	return records
}

// copy writes the same rows into a table and returns how long that took.
func (m *benchmark) copy(table string, records []archive.Invocation) time.Duration {
	values := make([][]any, len(records))
	for i := range records {
		r := &records[i]
		values[i] = []any{noted, noted, r.Start, r.End, nil, m.claim.function.ID, r.RequestID, r.Status, nil, nil, nil, nil}
	}
	columns := []string{
		"first_archived_at", "updated_at", "start_time", "end_time", "queried_window", "function_id",
		"request_id", "status", "source_status", "error_code", "error_message", "extra",
	}
	began := time.Now()
	if _, err := m.conn.CopyFrom(m.b.Context(), pgx.Identifier{table}, columns, pgx.CopyFromRows(values)); err != nil {
		m.b.Fatal(err)
	}
	return time.Since(began)
}
