package completeness

import (
	"context"
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
const histories = 25

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
	var all tally
	var mu sync.Mutex
	for range min(4, len(seeds)) {
		store := openStore(t)
		workers.Go(func() {
			for seed := range queue {
				of, err := history(seed, store)
				mu.Lock()
				all.add(of)
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
	t.Logf("%d histories from seed %d: %d windows complete, not complete %v", len(seeds), seeds[0], all.complete, all.open)
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

const (
	passes   = 16
	calmFrom = 6 // the first pass without faults and crashes
)

// passAt returns when a pass begins.
func passAt(pass int) time.Time {
	return rangeTo.Add(5*time.Minute + time.Duration(pass*(pass+1)/2)*time.Hour)
}

// history runs one history, as another project, and compares the table with the service.
func history(seed uint64, db *database) (tally, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	s := newService(seed)
	clock := clocktest.New(passAt(0))
	net := &transport{service: s, now: clock.Now, random: rand.New(rand.NewPCG(seed, 3)), limit: 12}
	log := slog.New(slog.DiscardHandler)
	source, err := functiongraph.New(ctx, functiongraph.Options{
		Endpoint: "https://functiongraph.example.com", ProjectID: fmt.Sprint(seed), AuthToken: extract.FixedSecret("token", "t"), PageSize: s.reading.page,
	}, extract.NewCaller(extract.Options{
		Concurrency: s.reading.concurrency, Timeout: time.Minute, Transport: net, Clock: clocktest.NewInstant(rangeTo), Log: log,
	}), log)
	if err != nil {
		return tally{}, err
	}
	crashes := rand.New(rand.NewPCG(seed, 2)) // used while the service answers
	crashing := &crashingStore{Store: db.store, random: crashes}
	archiver := &loop.Archiver{Source: source, Store: crashing, Clock: clock, Log: log, Settle: settle, Concurrency: s.reading.concurrency}

	var problems []string
	for pass := range passes {
		clock.Advance(passAt(pass).Sub(clock.Now()))
		net.begin(pass)
		crashing.in = -1
		if s.reading.crashes && pass < calmFrom {
			crashing.in = 1 + crashes.IntN(6)
		}
		// Hours after the first range become due too. Records may move there.
		_, ended := archiver.Archive(ctx, s.order(clock.Now()), new(archive.Progress))
		found, err := db.checkPass(ctx, s, net, pass, fmt.Sprint(seed), ended)
		if err != nil {
			return tally{}, fmt.Errorf("pass %d of %s %s: %w", pass, s.reading, s.limits, err)
		}
		problems = append(problems, found...)
	}
	of, found, err := db.compare(ctx, s, fmt.Sprint(seed))
	if err != nil {
		return tally{}, err
	}
	if problems = append(problems, found...); len(problems) > 0 {
		const most = 8
		if n := len(problems); n > most {
			problems = append(problems[:most], fmt.Sprintf("and %d more", n-most))
		}
		return of, fmt.Errorf("%s %s: %s", s.reading, s.limits, strings.Join(problems, "; "))
	}
	return of, nil
}

const settle = 5 * time.Minute

// order is what a run at this time is asked for.
func (s *service) order(now time.Time) archive.Order {
	o := archive.Order{
		AskedBy: "once", Older: true, Follow: true, VerifyAfter: 6 * time.Hour,
		Range:           archive.Span{From: s.from, To: archive.DueBefore(now, settle)},
		ForgottenBefore: now.Add(-s.limits.believed),
	}
	if begin := archive.WindowOf(now.Add(-s.limits.believed)); s.limits.lookback && begin.After(s.from) {
		o.Range.From = begin
	}
	return o
}
