package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	kills       = 20
	killWorkers = 8

	// The number of pages that a kill may make the next run ask for again, as
	// docs/commands.md says: those that were asked for and not yet kept.
	askedAgainPerKill = 2 * killWorkers
)

// A recorder records which pages of invocations were asked for, and kills the process
// at one of them.
type recorder struct {
	next http.Handler

	mu     sync.Mutex
	asked  map[string]bool // by earlier runs
	run    map[string]bool // by this run
	again  int             // of this run's, asked for by earlier ones as well
	pages  int             // of this run
	killAt int
	kill   func()
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if strings.HasSuffix(req.URL.Path, "/async-invocations") {
		r.note(req.URL.RequestURI())
	}
	r.next.ServeHTTP(w, req)
}

func (r *recorder) note(page string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked[page] {
		r.again++
	}
	r.run[page] = true
	if r.pages++; r.kill != nil && r.pages >= r.killAt {
		r.kill()
		r.kill = nil
	}
}

// arm lets a started process be killed at the page that begin named.
func (r *recorder) arm(kill func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kill = kill
}

// begin starts to record another run, which is killed at a page once armed.
func (r *recorder) begin(killAt int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for page := range r.run {
		r.asked[page] = true
	}
	r.run, r.again, r.pages = make(map[string]bool), 0, 0
	r.killAt, r.kill = killAt, nil
}

// TestKilledAnywhere kills the real binary at random points of a backfill, and
// compares the table with that of an undisturbed run, row by row.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if s := os.Getenv("ARCHIVER_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ARCHIVER_TEST_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	data := generated(t, 40, 40_000, 7)
	api, calm := simulator(t, data)
	undisturbed := install(t, calm.URL)
	undisturbed.backfill()
	fewest := int(api.Stats().ListAsyncInvocations)

	r := &recorder{next: api, asked: make(map[string]bool), run: make(map[string]bool)}
	web := httptest.NewServer(r)
	defer web.Close()
	disturbed := install(t, web.URL)
	args := []string{
		"backfill", "--from", day.Format(time.DateOnly), "--to", day.AddDate(0, 0, 1).Format(time.DateOnly),
		"--concurrency", strconv.Itoa(killWorkers),
	}
	killed, total := 0, 0
	for killed < kills {
		cmd := disturbed.command(nil, args...)
		// The kills are spread over the whole backfill: each run reads about the pages
		// that are left, divided by the kills that are left. A run that resumes may need
		// fewer calls for a proof than an undisturbed one.
		left := fewest - total
		r.begin(1 + random.IntN(max(1, min(2*left/(kills-killed+1), left/2))))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.arm(func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		r.mu.Lock()
		pages, again := r.pages, r.again
		r.mu.Unlock()
		total += pages - again
		if again > askedAgainPerKill {
			t.Errorf("after kill %d, %d pages were asked for again, at most %d are promised", killed, again, askedAgainPerKill)
		}
		t.Logf("kill %d: %d pages asked for, %d of them again", killed+1, pages, again)
		if err == nil {
			t.Fatalf("the backfill was complete after %d kills: make its day larger", killed)
		}
		killed++
	}
	r.begin(0)
	t.Log(disturbed.backfill("--concurrency", strconv.Itoa(killWorkers)))
	if r.again > askedAgainPerKill {
		t.Errorf("after the last kill, %d pages were asked for again, at most %d are promised", r.again, askedAgainPerKill)
	}
	sameArchive(t, undisturbed, disturbed)
}

// archived selects every column that does not depend on when a row was written.
const archived = `
	SELECT 'invocation' AS what,
	       (h.request_id, h.function_urn, h.status, h.source_status, h.error_code, h.error_message,
	        h.start_time, h.end_time, h.extra, h.window_start)::text AS row
	  FROM invocation_history h
	UNION ALL
	SELECT 'window', (w.function_urn, w.window_start, w.state, w.records, w.pending, w.source_count, w.last_error)::text
	  FROM window_coverage w
	UNION ALL
	SELECT 'walk', w::text FROM archiver_internal.walks w
	UNION ALL
	SELECT 'figures', (f.function_urn, f.window_start, f.records, f.success, f.fail, f.discard, f.in_flight, f.timed, f.histogram)::text
	  FROM function_hourly f
	UNION ALL
	SELECT 'figures due', d::text FROM archiver_internal.hourly_figures_due d
	 ORDER BY 1, 2`

// sameArchive compares two archives row by row.
func sameArchive(t *testing.T, a, b *installation) {
	t.Helper()
	ctx := context.Background()
	var rows [2]pgx.Rows
	for i, in := range []*installation{a, b} {
		conn, err := pgx.Connect(ctx, in.database)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if rows[i], err = conn.Query(ctx, archived); err != nil {
			t.Fatal(err)
		}
		defer rows[i].Close()
	}
	read := func(rows pgx.Rows) (string, bool) {
		if !rows.Next() {
			if rows.Err() != nil {
				t.Fatal(rows.Err())
			}
			return "", false
		}
		var what, row string
		if err := rows.Scan(&what, &row); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(what, " ", row), true
	}
	n := 0
	for {
		x, more := read(rows[0])
		y, moreToo := read(rows[1])
		if x != y {
			t.Fatalf("row %d differs:\nundisturbed: %s\ndisturbed:   %s", n, x, y)
		}
		if !more && !moreToo {
			break
		}
		n++
	}
	t.Logf("%d rows are the same", n)
}
