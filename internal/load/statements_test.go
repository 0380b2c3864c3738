package load

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// A counter counts the statements of a store.
type counter struct {
	mu         sync.Mutex
	statements []string
	trips      int // round trips, that of COPY with COMMIT left out
}

func (c *counter) note(sql string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements = append(c.statements, strings.Join(strings.Fields(sql), " "))
}

func (c *counter) trip() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips++
}

func (c *counter) take() (statements []string, trips int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	statements, trips = c.statements, c.trips
	c.statements, c.trips = nil, 0
	return statements, trips
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	c.note(d.SQL)
	c.trip()
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.trip()
	return ctx
}

func (c *counter) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	c.note(d.SQL)
}

func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// counted is a store on the database whose statements are counted.
func counted(t *testing.T, url string) (*Store, *counter) {
	t.Helper()
	config, err := pg.Config(url)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{}
	config.ConnConfig.Tracer = c
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, url)
	plain := s.pool
	s.pool = pool
	t.Cleanup(func() {
		pool.Close()
		s.pool = plain
	})
	return s, c
}

// What a page costs does not grow with the page, its span or what is in it.
func TestCommitStatements(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s, count := counted(t, a.URL)
	c := claimOf(t, s, a.Function("f"))
	span := hours(today, 48)
	rejected := func(n int) (r []archive.Rejected) {
		for i := range n {
			r = append(r, archive.Rejected{Reason: "none", Payload: []byte(fmt.Sprint(i))})
		}
		return r
	}
	// The first page of all makes days and prepares statements.
	b := page(span, noted, many(100, hours(today, 72), "first")...)
	b.Rejected = rejected(1)
	commit(t, c, b)
	commit(t, c, page(span, noted, many(100, hours(today, 72), "first")...))
	changed := many(1000, span, "new")
	for i := range changed {
		changed[i].Start = changed[i].Start.Add(time.Hour)
	}
	for _, test := range []struct {
		name  string
		batch archive.Batch
		want  int // statements, all but COPY
		trips int // COPY with COMMIT left out
	}{
		{"no records", page(span, noted), 6, 2},
		{"moved within the span", page(span, noted, many(100, span, "first")...), 17, 2},
		{"new", page(span, noted, many(1000, span, "new")...), 8, 2},
		{"moved by an hour", page(span, noted, changed...), 17, 2},
		{"last", lastPage(span, noted, many(1000, span, "last")...), 8, 2},
	} {
		count.take()
		commit(t, c, test.batch)
		if got, trips := count.take(); len(got) != test.want || trips != test.trips {
			t.Errorf("%s: %d statements in %d round trips, want %d in %d:\n%s", test.name, len(got), trips, test.want, test.trips, strings.Join(got, "\n"))
		}
	}
	t.Run("rejected", func(t *testing.T) {
		b := page(span, noted)
		b.Rejected = rejected(100)
		count.take()
		commit(t, c, b)
		if got, _ := count.take(); len(got) > 9 {
			t.Errorf("%d statements for 100 rejected records", len(got))
		}
	})
}

// With more than a year of days, a page asks only those about its own.
func TestProbeTouchesOnlyItsDays(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.Exec(`
		DO $$
		BEGIN
			FOR n IN 0..399 LOOP
				EXECUTE format('CREATE TABLE archiver_days.invocations_%s PARTITION OF invocations_dated FOR VALUES FROM (%L) TO (%L)',
					to_char(date '2025-06-01' + n, 'YYYYMMDD'),
					(date '2025-06-01' + n)::text || ' 00:00:00+00', (date '2025-06-02' + n)::text || ' 00:00:00+00');
				EXECUTE format('CREATE UNIQUE INDEX ON invocations_%s (request_id)', to_char(date '2025-06-01' + n, 'YYYYMMDD'));
			END LOOP;
		END $$`)
	ids := make([]string, 500)
	for i := range ids {
		ids[i] = fmt.Sprint("r", i)
	}
	days := int(2*archive.MaxLife/(24*time.Hour)) + 1
	for name, sql := range map[string]string{
		"probe":  selectDated,
		"delete": `DELETE FROM archiver_days.invocations_dated WHERE request_id = ANY ($1) AND start_time BETWEEN $2 AND $3`,
	} {
		tx, err := a.store.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(t.Context(), `EXPLAIN `+sql, ids, hour(0).Add(-archive.MaxLife), hour(1).Add(archive.MaxLife))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		touched := map[string]bool{}
		for _, line := range plan {
			for _, word := range strings.Fields(line) {
				if strings.HasPrefix(word, "invocations_2") && !strings.Contains(word, "request_id") {
					touched[word] = true
				}
			}
		}
		if len(touched) != days {
			t.Errorf("%s asks %d days, want %d:\n%s", name, len(touched), days, strings.Join(plan, "\n"))
		}
		locks, err := tx.Query(t.Context(), `
			SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			 WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '^invocations_\d{8}$'`)
		if err != nil {
			t.Fatal(err)
		}
		locked, err := pgx.CollectRows(locks, pgx.RowTo[string])
		if err != nil || len(locked) != days {
			t.Errorf("%s locks %d days, want %d, %v", name, len(locked), days, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
