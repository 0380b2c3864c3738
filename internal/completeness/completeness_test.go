package completeness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/loop"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// histories is how many histories the test runs. ARCHIVER_SOAK multiplies it.
const histories = 100

// TestSoakCompleteness runs histories from new seeds, or the history of the seed in
// ARCHIVER_TEST_SEED.
func TestSoakCompleteness(t *testing.T) {
	t.Parallel()
	if s := os.Getenv("ARCHIVER_TEST_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		run(t, []uint64{seed})
		return
	}
	n, err := strconv.Atoi(os.Getenv("ARCHIVER_SOAK"))
	if err != nil {
		n = 1
	}
	seeds := make([]uint64, histories*n)
	first := rand.Uint64()
	for i := range seeds {
		seeds[i] = first + uint64(i)
	}
	run(t, seeds)
}

// run runs the seeds on a few databases in parallel.
func run(t *testing.T, seeds []uint64) {
	queue := make(chan uint64)
	var workers sync.WaitGroup
	complete, open := 0, 0
	var mu sync.Mutex
	for range min(4, len(seeds)) {
		store := openStore(t)
		workers.Go(func() {
			for seed := range queue {
				c, o, err := history(seed, store)
				mu.Lock()
				complete, open = complete+c, open+o
				mu.Unlock()
				if err != nil {
					t.Errorf("ARCHIVER_TEST_SEED=%d: %v", seed, err)
				}
			}
		})
	}
	for _, seed := range seeds {
		queue <- seed
	}
	close(queue)
	workers.Wait()
	t.Logf("%d histories from seed %d: %d windows complete, %d not", len(seeds), seeds[0], complete, open)
	if len(seeds) > 10 && open > complete/4 {
		t.Errorf("%d windows of %d never became complete: a promise that is not made proves nothing", open, complete+open)
	}
}

type database struct {
	store *load.Store
	conn  *pgx.Conn
}

func openStore(t *testing.T) *database {
	t.Helper()
	ctx := context.Background()
	url := pgtest.Migrated(t, func(ctx context.Context, url string) error {
		_, err := pg.MigrateUp(ctx, url)
		return err
	})
	opened, err := pg.Open(ctx, url, 4, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
		opened.Close()
	})
	return &database{load.New(opened, days.New(opened)), conn}
}

// history runs one history, as another project, and compares the table with the service.
func history(seed uint64, db *database) (complete, open int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	random := rand.New(rand.NewPCG(seed, 1))
	s := newService(random, draw(random))
	clock := clocktest.New(rangeTo.Add(5 * time.Minute))
	net := &transport{service: s, now: clock.Now, limit: 12}
	log := slog.New(slog.DiscardHandler)
	source, err := functiongraph.New(ctx, functiongraph.Options{
		Endpoint: "https://functiongraph.example.com", ProjectID: fmt.Sprint(seed), AuthToken: extract.FixedSecret("token", "t"), PageSize: s.reading.page,
	}, extract.NewCaller(extract.Options{
		Concurrency: s.reading.concurrency, Timeout: time.Minute, Transport: net, Clock: clocktest.NewInstant(rangeTo), Log: log,
	}), log)
	if err != nil {
		return 0, 0, err
	}
	crashes := rand.New(rand.NewPCG(seed, 2)) // used while the service answers
	crashing := &crashingStore{Store: db.store, random: crashes}
	archiver := &loop.Archiver{Source: source, Store: crashing, Clock: clock, Log: log, Settle: 5 * time.Minute, Concurrency: s.reading.concurrency}

	for pass := range 16 {
		// Records change only while a later pass can notice: counts are compared again
		// after VerifyAfter. Faults and crashes go on for some passes.
		if pass >= 3 {
			net.limit = 0
		}
		net.calm = pass >= 6
		crashing.in = -1
		if s.reading.crashes && !net.calm {
			crashing.in = 1 + crashes.IntN(6)
		}
		order := archive.Order{
			AskedBy: "once", Older: true, Follow: true, VerifyAfter: 6 * time.Hour,
			Range: archive.Span{From: rangeFrom, To: archive.DueBefore(clock.Now(), archiver.Settle)},
		}
		// Hours after the range become due too. Records may move there.
		_, err := archiver.Archive(ctx, order, new(archive.Progress))
		var incomplete *archive.IncompleteError
		if err != nil && !errors.As(err, &incomplete) && !errors.Is(err, errCrash) {
			return 0, 0, fmt.Errorf("pass %d of %s: %w", pass, s.reading, err)
		}
		clock.Advance(time.Duration(1+pass) * time.Hour)
	}
	complete, open, err = compare(ctx, db, s, fmt.Sprint(seed))
	if err != nil {
		err = fmt.Errorf("%s: %w", s.reading, err)
	}
	return complete, open, err
}

// compare checks every complete window: the service's records of that window are in the
// table, once and unchanged.
func compare(ctx context.Context, db *database, s *service, project string) (complete, open int, err error) {
	states := make(map[time.Time]string)
	rows, err := db.conn.Query(ctx, `
		SELECT w.window_start, w.state, w.records, w.pending, COALESCE(h.n, 0), COALESCE(h.pending, 0)
		  FROM archiver_internal.windows w
		  JOIN functions f USING (function_id)
		  LEFT JOIN (
			SELECT i.function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC') AS window_start,
			       count(*) AS n, count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS pending
			  FROM invocations i GROUP BY 1, 2) h
		 USING (function_id, window_start)
		 WHERE f.project_id = $1`, project)
	if err != nil {
		return 0, 0, err
	}
	var problems []string
	var at time.Time
	var state string
	var n, pending, inTable, pendingInTable int
	_, err = pgx.ForEachRow(rows, []any{&at, &state, &n, &pending, &inTable, &pendingInTable}, func() error {
		states[at.UTC()] = state
		if state == string(archive.StateComplete) {
			complete++
		} else {
			open++
		}
		if n != inTable || pending != pendingInTable {
			problems = append(problems, fmt.Sprintf("window %s counts %d records, %d in flight; the table has %d, %d",
				at.UTC().Format(time.DateTime), n, pending, inTable, pendingInTable))
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}

	table := make(map[string]record)
	rows, err = db.conn.Query(ctx, `
		SELECT request_id, status, start_time, end_time
		  FROM invocations JOIN functions USING (function_id) WHERE project_id = $1`, project)
	if err != nil {
		return 0, 0, err
	}
	var r record
	var start, end *time.Time
	_, err = pgx.ForEachRow(rows, []any{&r.id, &r.status, &start, &end}, func() error {
		if _, twice := table[r.id]; twice {
			problems = append(problems, r.id+" has two rows")
		}
		row := record{id: r.id, status: r.status}
		if start != nil {
			row.start = start.UTC()
		}
		if end != nil {
			row.end = end.UTC()
		}
		table[r.id] = row
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	known := make(map[string]bool)
	for _, r := range s.records {
		known[r.id] = true
		row, there := table[r.id]
		window := archive.WindowOf(s.filed(r))
		switch {
		case states[window] != string(archive.StateComplete):
		case !there:
			problems = append(problems, fmt.Sprintf("window %s says complete, and %s is missing", window.Format(time.DateTime), r.id))
		case !r.changed && (row.status != r.status || !row.start.Equal(r.start) || !row.end.Equal(r.end)):
			problems = append(problems, fmt.Sprintf("%s is %s %s/%s in the table, %s %s/%s at the service", r.id,
				row.status, row.start.Format(time.DateTime), row.end.Format(time.DateTime),
				r.status, r.start.Format(time.DateTime), r.end.Format(time.DateTime)))
		}
	}
	for id := range table {
		if !known[id] && !s.vanished[id] {
			problems = append(problems, id+" is no record of the service")
		}
	}
	if len(problems) > 0 {
		return complete, open, errors.New(strings.Join(problems, "; "))
	}
	return complete, open, nil
}
