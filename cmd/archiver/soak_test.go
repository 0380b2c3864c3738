//go:build soak

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
	{
		"clocks", "the source's clock ahead, behind or jumping by up to 20 minutes, with `--settle 10m`",
		"a pass whose clocks differ by more than `--settle` does nothing", soakClocks,
	},
	{
		"database", "SIGKILL of PostgreSQL at a random moment, in turn of the whole server and of one session; the same archiver goes on",
		"a database that is lost costs time: the page is tried again", soakDatabase,
	},
	{
		"synchronous", "the primary killed at a random moment and its synchronous standby promoted; the address names both, the standby first",
		"a failover costs time, and `target_session_attrs=read-write` finds the primary", soakSynchronous,
	},
	{
		"asynchronous", "the same with an asynchronous standby that is behind",
		"what was lost in an asynchronous failover is read again", soakAsynchronous,
	},
	{
		"disk", "the disk of PostgreSQL full at a random moment, and freed",
		"a full disk costs time", soakDisk,
	},
	{
		"pooler", "SIGKILL at a random moment of PgBouncer (session mode, the settings of its package), through which the archiver writes",
		"PgBouncer's session mode works as installed", soakPooler,
	},
	{
		"allclocks", "a pass while the clocks of the archiver, the database and the source are ahead, behind (by up to 410 days) or jump, one of them right",
		"an hour has ended only when the slowest clock says so", soakAllClocks,
	},
	{
		"subscriber", "SIGKILL at a random moment, in turn of a logical subscriber's server and of the archiver",
		"a subscriber with the statements of [replication.md](replication.md) stays equal", soakSubscriber,
	},
}

// A soak is what all disturbances share: a day, and the archive of it that nobody
// disturbed. Each disturbance has its own random numbers, so that the seed repeats them
// when it runs by itself.
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

// equal is the result of so many archives that were compared.
func equal(archives int) string { return fmt.Sprintf("%d of %d archives equal", archives, archives) }

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
	s := &soak{runs: runs, api: api, calm: install(t, web.URL)}
	s.calm.backfill()
	s.pages = int(api.Stats().ListAsyncInvocations)
	s.hours = completeHours(t, s.calm)
	began := time.Now()
	results := make([][]string, len(disturbances))
	t.Cleanup(func() { // when all disturbances have ended
		whole := !slices.ContainsFunc(results, func(row []string) bool { return row == nil })
		if !t.Failed() && whole {
			keepResults(t, runs, time.Since(began), results)
		}
	})
	for i := range disturbances {
		d, own := &disturbances[i], *s
		own.random = rand.New(rand.NewPCG(seed, uint64(i)))
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			often, result := d.disturb(t, &own)
			t.Logf("%d times in %s: %s", often, time.Since(began).Round(time.Second), result)
			results[i] = []string{d.what, strconv.Itoa(often), result, d.promise}
		})
	}
}

// The table is between these lines.
const (
	resultsBegin = "<!-- `make soak` writes from here -->\n"
	resultsEnd   = "<!-- to here -->\n"
)

func keepResults(t *testing.T, runs int, took time.Duration, results [][]string) {
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
	fmt.Fprintf(&text, "\nLast written by `make soak RUNS=%d` on %s, after %.0f minutes on %d cores. Each archive is of %d records in %d hours.\n\n",
		runs, time.Now().UTC().Format(time.DateOnly), took.Minutes(), runtime.NumCPU(), soakRecords, soakFunctions*24)
	text.WriteString("| what was done | times | result | what it shows |\n|---|---|---|---|\n")
	for _, row := range results {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	if err := os.WriteFile(page, []byte(before+resultsBegin+text.String()+"\n"+resultsEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
