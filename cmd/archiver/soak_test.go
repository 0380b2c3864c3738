//go:build soak

package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/pgserver"
	"archiver/internal/simulate"
)

// A disturbance is what `make soak` does to an archive, and a row of the table in
// docs/reliability.md.
type disturbance struct {
	name    string // of the subtest
	what    string
	promise string // that the row shows
	// disturb returns how often it did this, and what came of it.
	disturb func(t *testing.T, s *soak) (often int, result string)
}

var disturbances = []disturbance{
	{
		"versions", "the day archived on PostgreSQL 14, 15, 16, 17 and 18, the archiver killed once on each",
		"PostgreSQL 14 to 18 are supported", soakVersions,
	},
	{
		"archiver", "SIGKILL of the archiver at a random moment",
		"after a crash at any line, the next run continues and the archive is the same", soakArchiver,
	},
	{
		"processes", "three archivers over one archive, one of them killed and started again at a random moment",
		"any number of processes may work on one archive", soakProcesses,
	},
}

// A soak is what all disturbances share: a day, and the archive of it that nobody
// disturbed.
type soak struct {
	runs   int
	random *rand.Rand
	api    *simulate.Server
	calm   *installation
	pages  int               // that the calm archive asked for
	hours  map[string]string // of the calm archive: see completeHours
}

// The day that is archived.
const (
	soakFunctions = 40
	soakRecords   = 40_000
)

// size says how large an archive is.
func (s *soak) size() string {
	return fmt.Sprintf("%d records in %d hours", soakRecords, len(s.hours))
}

// TestSoak disturbs archives in the size of ARCHIVER_SOAK. Each archive must then be
// that of an undisturbed run, row by row, and no hour may have been complete before it
// was. If all of it ran, its results become the table of docs/reliability.md.
func TestSoak(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("ARCHIVER_SOAK"))
	if err != nil || runs < 1 {
		t.Fatalf("ARCHIVER_SOAK=%q: set it to a number, as `make soak RUNS=20` does", os.Getenv("ARCHIVER_SOAK"))
	}
	seed, err := strconv.ParseUint(os.Getenv("ARCHIVER_TEST_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("ARCHIVER_TEST_SEED=%d", seed)
	api, web := simulator(t, generated(t, soakFunctions, soakRecords, 7))
	s := &soak{runs: runs, random: rand.New(rand.NewPCG(seed, 0)), api: api, calm: install(t, web.URL)}
	s.calm.backfill()
	s.pages = int(api.Stats().ListAsyncInvocations)
	s.hours = completeHours(t, s.calm)
	var results [][]string
	for i := range disturbances {
		d := &disturbances[i]
		t.Run(d.name, func(t *testing.T) {
			began := time.Now()
			often, result := d.disturb(t, s)
			t.Logf("%d times in %s: %s", often, time.Since(began).Round(time.Second), result)
			results = append(results, []string{d.what, strconv.Itoa(often), result, d.promise})
		})
	}
	if !t.Failed() && len(results) == len(disturbances) {
		keepResults(t, runs, results)
	}
}

// The table is between these lines.
const (
	resultsBegin = "<!-- `make soak` writes from here -->\n"
	resultsEnd   = "<!-- to here -->\n"
)

func keepResults(t *testing.T, runs int, results [][]string) {
	t.Helper()
	page := filepath.Join("..", "..", "docs", "reliability.md")
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, _, begins := strings.Cut(string(old), resultsBegin)
	_, after, ends := strings.Cut(string(old), resultsEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", page)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\nLast written by `make soak RUNS=%d` on %s, %d cores.\n\n", runs, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU())
	text.WriteString("| what was done | times | result | what it shows |\n|---|---|---|---|\n")
	for _, row := range results {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	if err := os.WriteFile(page, []byte(before+resultsBegin+text.String()+"\n"+resultsEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// watched is an installation whose pages a recorder sees. Its database is the given
// one, or a new one.
func (s *soak) watched(t *testing.T, database string) (*installation, *recorder) {
	t.Helper()
	r := &recorder{next: s.api, asked: make(map[string]bool), run: make(map[string]bool)}
	web := newServer(t, r)
	if database == "" {
		return install(t, web), r
	}
	return installOn(t, database, web), r
}

// server is a PostgreSQL of the test. It keeps what it has committed when it is killed.
func (s *soak) server(t *testing.T, o pgserver.Options) *pgserver.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join("..", "..", ".archiver", fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ToLower(crand.Text()[:8])))
	}
	o.Fast, o.InMemory = true, true
	if o.Settings == nil {
		o.Settings = make(map[string]string)
	}
	o.Settings["synchronous_commit"] = "on"
	server, err := pgserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Stop() // it may have been killed
		if err := pgserver.Remove(context.Background(), o.Dir); err != nil {
			t.Error(err)
		}
	})
	return server
}

// moment calls back at a random moment of a run that asks for about so many pages.
func (s *soak) moment(r *recorder, pages int, then func()) {
	r.begin(1 + s.random.IntN(max(1, pages)))
	later := time.Duration(s.random.IntN(40)) * time.Millisecond
	r.arm(func() { time.AfterFunc(later, then) })
}

// completeHours is what the archive holds of each hour that it calls complete: the
// number of its records, and a sum over them.
func completeHours(t *testing.T, in *installation) map[string]string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT w.function_urn || ' ' || w.window_start,
		       coalesce(h.records, 0) || ' ' || coalesce(h.sum, 0)
		  FROM window_coverage w
		  LEFT JOIN (SELECT function_urn, window_start, count(*) AS records,
		                    sum(hashtextextended((request_id, status, start_time, end_time, error_message)::text, 0)) AS sum
		               FROM invocation_history GROUP BY 1, 2) h USING (function_urn, window_start)
		 WHERE w.state = 'complete'`)
	if err != nil {
		t.Fatal(err)
	}
	hours := make(map[string]string)
	var hour, holds string
	if _, err := pgx.ForEachRow(rows, []any{&hour, &holds}, func() error { hours[hour] = holds; return nil }); err != nil {
		t.Fatal(err)
	}
	return hours
}

// neverEarly fails if an hour is called complete and does not hold what it holds in the
// calm archive.
func (s *soak) neverEarly(t *testing.T, in *installation) {
	t.Helper()
	for hour, holds := range completeHours(t, in) {
		if s.hours[hour] != holds {
			t.Errorf("%s is called complete and holds %s (records, sum), want %s", hour, holds, s.hours[hour])
		}
	}
}

// same fails unless a disturbed archive is complete, agrees with its source, and equals
// the calm archive.
func (s *soak) same(t *testing.T, in *installation) {
	t.Helper()
	s.neverEarly(t, in)
	code, stdout, stderr := in.run(nil, ofDay("verify")...)
	if want := fmt.Sprintf("%d windows compared, 0 differ", len(s.hours)); code != exitDone || !strings.Contains(stdout, want) {
		t.Errorf("verify: exit %d, want 0 and %q\n%s%s", code, want, stdout, stderr)
	}
	sameArchive(t, s.calm, in)
}

// ofDay are the arguments of a command for the day.
func ofDay(command string, more ...string) []string {
	return append([]string{command, "--from", day.Format(time.DateOnly), "--to", day.AddDate(0, 0, 1).Format(time.DateOnly)}, more...)
}

// A started archiver, and what it says.
type started struct {
	*exec.Cmd
	said bytes.Buffer
}

func (s *soak) start(t *testing.T, in *installation, args ...string) *started {
	t.Helper()
	a := &started{Cmd: in.command(nil, args...)}
	a.Stdout, a.Stderr = &a.said, &a.said
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Process.Kill() }) // if the test failed before
	return a
}

// ended waits for the archiver, and reports whether it was killed. Else it must have
// ended well.
func (a *started) ended(t *testing.T) (killed bool) {
	t.Helper()
	err := a.Wait()
	if status, ok := a.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return true
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(a.Args[1:], " "), err, &a.said)
	}
	return false
}
