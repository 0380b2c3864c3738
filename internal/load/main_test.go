package load

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds how long a test waits for an event.
const patience = 20 * time.Second

var (
	// today is the day that most tests write to.
	today = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	// noted and later are the times of commits.
	noted = time.Date(2026, 3, 20, 8, 0, 0, 0, time.UTC)
	later = noted.Add(time.Hour)

	testSource = archive.SourceID{Provider: "functiongraph", Region: "cn-north-4", ProjectID: "p"}
)

// An archiveDB is a migrated database of the test's own with a store on it,
// and plain connections of its own to look at what the store did.
type archiveDB struct {
	t     testing.TB
	url   string
	store *rooms
	sql   *pgxpool.Pool
}

func newArchive(t testing.TB) *archiveDB {
	t.Helper()
	url := migrated(t)
	a := &archiveDB{t: t, url: url, store: openStore(t, url)}
	a.sql = openPool(t, url)
	return a
}

// openPool opens connections of the test's own. Their statements need not name
// the schemas of the archive.
func openPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["search_path"] = "public, archiver_internal, archiver_days"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// in is the same archive for a subtest.
func (a *archiveDB) in(t testing.TB) *archiveDB {
	within := *a
	within.t = t
	return &within
}

// migrated is a database of the test's own with the schema.
func migrated(t testing.TB) string {
	t.Helper()
	return pgtest.Migrated(t, func(ctx context.Context, url string) error {
		_, err := pg.MigrateUp(ctx, url)
		return err
	})
}

func newMigrator(t testing.TB, url string) *pg.Migrator {
	t.Helper()
	m, err := pg.NewMigrator(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// function adds a function to the archive.
func (a *archiveDB) function(name string) archive.Known {
	a.t.Helper()
	known, err := a.store.SeeFunctions(a.t.Context(), testSource,
		[]archive.Function{{URN: "urn:" + name, Name: name}}, noted)
	if err != nil || len(known) != 1 {
		a.t.Fatalf("see function %s: %v, %v", name, known, err)
	}
	return known[0]
}

func (a *archiveDB) claim(f archive.Known) *claim {
	a.t.Helper()
	return claimOf(a.t, a.store, f)
}

func claimOf(t testing.TB, s *rooms, f archive.Known) *claim {
	t.Helper()
	got, err := s.Claim(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := got.(*claim)
	if !ok {
		t.Fatalf("the store's claims are %T", got)
	}
	return c
}

// newClaim is a claim of a function of its own.
func (a *archiveDB) newClaim(name string) *claim {
	a.t.Helper()
	return a.claim(a.function(name))
}

// exec runs statements on the plain connections.
func (a *archiveDB) exec(sql string, args ...any) {
	a.t.Helper()
	if _, err := a.sql.Exec(a.t.Context(), sql, args...); err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
}

// rows are the answer of a query, each row as one text.
func (a *archiveDB) rows(sql string, args ...any) []string {
	a.t.Helper()
	got, err := a.sql.Query(a.t.Context(), `SELECT q::text FROM (`+sql+`) AS q`, args...)
	if err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
	texts, err := pgx.CollectRows(got, pgx.RowTo[string])
	if err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
	return texts
}

// value is the answer of a query for one value.
func value[T any](a *archiveDB, sql string, args ...any) (v T) {
	a.t.Helper()
	if err := a.sql.QueryRow(a.t.Context(), sql, args...).Scan(&v); err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// hours is a span of n windows from an hour on.
func hours(from time.Time, n int) archive.Span {
	return archive.Span{From: from, To: from.Add(time.Duration(n) * archive.Hour)}
}

// record is an invocation without optional fields.
func record(id, status string, start time.Time) archive.Invocation {
	return archive.Invocation{RequestID: id, Status: status, Start: start}
}

// page is a page of a walk over the span. More pages follow.
func page(s archive.Span, at time.Time, records ...archive.Invocation) archive.Batch {
	return archive.Batch{
		Invocations: records, At: at,
		Walk: archive.Walk{Span: s, Cursor: "next", Seen: len(records)},
	}
}

// lastPage is the page that ends the walk of its span as complete.
func lastPage(s archive.Span, at time.Time, records ...archive.Invocation) archive.Batch {
	return archive.Batch{
		Invocations: records, At: at, Walk: archive.Walk{Span: s},
		Outcome: &archive.Outcome{State: archive.StateComplete},
	}
}

// commit commits a batch, which must succeed.
func commit(t testing.TB, c *claim, b archive.Batch) archive.Kept {
	t.Helper()
	kept, err := c.Commit(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// many are n successful invocations, spread over the span.
func many(n int, s archive.Span, prefix string) []archive.Invocation {
	step := s.To.Sub(s.From) / time.Duration(max(n, 1))
	records := make([]archive.Invocation, n)
	for i := range records {
		start := s.From.Add(time.Duration(i) * step)
		records[i] = archive.Invocation{
			RequestID: fmt.Sprintf("%s-%024d", prefix, i), Status: archive.StatusSuccess,
			Start: start, End: start.Add(137 * time.Millisecond),
		}
	}
	return records
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited too long until %s", what)
		case <-tick.C:
		}
	}
}

// blocked reports whether a session of this database waits for a lock.
func (a *archiveDB) blocked() bool {
	a.t.Helper()
	return value[bool](a, `
		SELECT EXISTS (
			SELECT FROM pg_stat_activity
			 WHERE datname = current_database() AND wait_event_type = 'Lock')`)
}
