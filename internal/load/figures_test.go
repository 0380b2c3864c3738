package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/figures"
	"archiver/internal/load/pg"
)

// recounted selects figures, by the key, that differ from a plain count of all rows.
const recounted = `
	WITH rows AS (
		SELECT i.*, f.provider, f.region, f.project_id,
		       date_trunc('hour', COALESCE(i.start_time, i.queried_window), 'UTC') AS window_start,
		       (COALESCE(i.start_time, i.queried_window) AT TIME ZONE 'UTC')::date AS day,
		       CASE WHEN i.status NOT IN ('WAIT', 'RUNNING') AND i.start_time IS NOT NULL AND i.end_time IS NOT NULL
		            THEN GREATEST(EXTRACT(EPOCH FROM i.end_time - i.start_time)::float8, 0) END AS seconds
		  FROM invocations i
		  JOIN functions f USING (function_id)
	), counted AS (
		SELECT %[1]s, count(*) AS records, count(*) FILTER (WHERE status = 'SUCCESS') AS success,
		       count(*) FILTER (WHERE status = 'FAIL') AS fail, count(*) FILTER (WHERE status = 'DISCARD') AS discard,
		       count(*) FILTER (WHERE status IN ('WAIT', 'RUNNING')) AS in_flight,
		       count(*) FILTER (WHERE status NOT IN ('SUCCESS', 'FAIL', 'DISCARD', 'WAIT', 'RUNNING')) AS other,
		       count(seconds) AS timed, COALESCE(sum(seconds), 0) AS total_seconds, max(seconds) AS max_seconds,
		       percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS p95
		  FROM rows
		 GROUP BY %[1]s
	)
	SELECT c AS counted, k AS kept, histogram_percentile(k.histogram, 0.95) AS p95
	  FROM counted c
	  FULL JOIN %[2]s k USING (%[1]s)
	 WHERE (c.records, c.success, c.fail, c.discard, c.in_flight, c.other, c.timed)
	       IS DISTINCT FROM (k.records, k.success, k.fail, k.discard, k.in_flight, k.other, k.timed)
	    OR abs(c.total_seconds - k.total_seconds) > 0.001 OR c.max_seconds IS DISTINCT FROM k.max_seconds
	    OR c.timed IS DISTINCT FROM (SELECT COALESCE(sum(n), 0) FROM unnest(k.histogram) AS n)
	    OR (c.p95 IS NULL) <> (histogram_percentile(k.histogram, 0.95) IS NULL)
	    OR abs(c.p95 - histogram_percentile(k.histogram, 0.95)) > 0.001 + 0.045 * c.p95`

// checkFigures compares all figures with the rows. No day was dropped, and nothing is
// due.
func checkFigures(a *archiveDB) {
	a.t.Helper()
	for table, key := range map[string]string{
		"hourly_figures": "function_id, window_start",
		"daily_figures":  "function_id, day",
		"source_figures": "provider, region, project_id, window_start",
	} {
		if wrong := a.rows(fmt.Sprintf(recounted, key, table)); len(wrong) > 0 {
			a.t.Errorf("%s are not those of the rows (counted, kept):\n%s", table, strings.Join(wrong, "\n"))
		}
	}
	wrong := a.rows(`
		WITH counted AS (
			SELECT function_id, date_trunc('hour', COALESCE(start_time, queried_window), 'UTC') AS window_start,
			       left(COALESCE(error_code, ''), 200) AS error_code, count(*) AS records,
			       min(COALESCE(start_time, queried_window)) AS first_seen, max(COALESCE(start_time, queried_window)) AS last_seen,
			       max(error_message) AS message
			  FROM invocations
			 WHERE status IN ('FAIL', 'DISCARD')
			 GROUP BY 1, 2, 3
		)
		SELECT c AS counted, k AS kept
		  FROM counted c
		  FULL JOIN hourly_error_codes k USING (function_id, window_start, error_code)
		 WHERE (c.records, c.first_seen, c.last_seen, c.message IS NULL)
		       IS DISTINCT FROM (k.records, k.first_seen, k.last_seen, k.sample_message IS NULL)`)
	if len(wrong) > 0 {
		a.t.Errorf("error codes are not those of the rows (counted, kept):\n%s", strings.Join(wrong, "\n"))
	}
	if n := value[int](a, `SELECT count(*) FROM hourly_figures_due`); n != 0 {
		a.t.Errorf("%d notes are left", n)
	}
}

func countFigures(t testing.TB, s *rooms) {
	t.Helper()
	if err := s.CountFigures(t.Context(), archive.SystemClock{}, 0); err != nil {
		t.Fatal(err)
	}
}

// timed is a record with a duration.
func timed(id, status string, start time.Time, took time.Duration) archive.Invocation {
	inv := record(id, status, start)
	inv.End = start.Add(took)
	return inv
}

func TestFigures(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	failed := timed("failed", archive.StatusFail, hour(2), time.Minute)
	failed.ErrorCode, failed.ErrorMessage = strings.Repeat("é", 4000), strings.Repeat("x", 10_000)
	commit(t, c, lastPage(span(0, 24), noted,
		timed("ok", archive.StatusSuccess, hour(2), 1500*time.Millisecond),
		timed("at once", archive.StatusSuccess, hour(2), 0),
		timed("backwards", archive.StatusSuccess, hour(2), -time.Hour),
		timed("endless", archive.StatusSuccess, hour(2), 30*24*time.Hour),
		timed("early", archive.StatusRunning, hour(2), time.Hour),
		record("strange", "HIBERNATING", hour(2)),
		record("waits", archive.StatusWait, time.Time{}),
		record("never", archive.StatusDiscard, time.Time{}),
		failed))
	countFigures(t, a.store)
	checkFigures(a)
	want := []string{`("2026-03-14 02:00:00",7,4,1,0,1,1,5,2592061.5,2592000,0.2)`, `("2026-03-14 23:00:00",2,0,0,1,1,0,0,0,,0.0)`}
	got := a.rows(`
		SELECT window_start AT TIME ZONE 'UTC', records, success, fail, discard, in_flight, other, timed, total_seconds, max_seconds,
		       round((fail::float8 / NULLIF(records - in_flight, 0))::numeric, 1)
		  FROM hourly_figures ORDER BY 1`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hours (-want +got):\n%s", diff)
	}
}

// Records wait, run, end, and move to other hours, days and functions. Each is counted
// where it is.
func TestFiguresFollowRecords(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	steps := [][]archive.Invocation{
		{record("r", archive.StatusWait, time.Time{}), record("s", archive.StatusSuccess, hour(1))},
		{record("r", archive.StatusRunning, hour(2))},
		{timed("r", archive.StatusFail, hour(2), time.Second)},
		{timed("r", archive.StatusSuccess, hour(30), time.Second)},
		{timed("r", archive.StatusSuccess, hour(30), time.Minute)},
		{timed("s", archive.StatusSuccess, hour(3), time.Minute)},
	}
	for i, records := range steps {
		commit(t, c, lastPage(span(0, 48), noted.Add(time.Duration(i)*time.Minute), records...))
		if n := value[int](a, `SELECT count(*) FROM hourly_figures_due`); n == 0 {
			t.Errorf("step %d notes nothing", i)
		}
		countFigures(t, a.store)
		checkFigures(a)
	}
	commit(t, c, lastPage(span(0, 48), later, steps[5]...))
	if n := value[int](a, `SELECT count(*) FROM hourly_figures_due`); n != 0 {
		t.Errorf("%d notes of what was there", n)
	}
}

// A note that is written while its hour is counted stays. A count that is rolled back
// leaves the notes that it took.
func TestFiguresNotedWhileCounting(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	commit(t, c, page(span(0, 1), noted, record("first", archive.StatusSuccess, hour(0))))
	for _, end := range []func(pgx.Tx) error{
		func(tx pgx.Tx) error { return tx.Rollback(t.Context()) },
		func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
	} {
		tx, err := a.store.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := figures.CountDay(t.Context(), tx, today); err != nil {
			t.Fatal(err)
		}
		commit(t, c, page(span(0, 1), noted, record(fmt.Sprint("new", value[int](a, `SELECT count(*) FROM invocations`)), archive.StatusSuccess, hour(0))))
		if err := end(tx); err != nil {
			t.Fatal(err)
		}
		if n := value[int](a, `SELECT count(*) FROM hourly_figures_due`); n == 0 {
			t.Error("the note is lost")
		}
	}
	countFigures(t, a.store)
	checkFigures(a)
}

// Several processes commit and count at the same time. In the end the figures equal the
// rows.
func TestFiguresDuringCommits(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const workers, rounds = 4, 12
	var all sync.WaitGroup
	for i := range workers {
		f, s := a.function(fmt.Sprint("f", i)), openStore(t, a.url)
		all.Go(func() {
			c := claimOf(t, s, f)
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for n := range rounds {
				records := many(40, hours(today, 48), fmt.Sprintf("r%d", i))
				for j := range records {
					records[j].Start = records[j].Start.Add(time.Duration(r.IntN(3)) * archive.Hour)
					records[j].Status = []string{archive.StatusWait, archive.StatusSuccess, archive.StatusFail}[r.IntN(3)]
				}
				commit(t, c, page(hours(today, 48), noted.Add(time.Duration(n)*time.Minute), records...))
				if n%3 == i%3 {
					if err := s.CountFigures(t.Context(), archive.SystemClock{}, 0); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	countFigures(t, a.store)
	checkFigures(a)
}

// Percentiles of histograms, and of their sums, are within 5% of the true ones.
func TestHistograms(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	r := rand.New(rand.NewPCG(1, 9))
	a.exec(`CREATE TABLE durations (part integer, seconds float8)`)
	for part := range 8 {
		seconds := make([]float64, 1+r.IntN(400))
		for i := range seconds {
			seconds[i] = math.Round(1000*math.Exp(r.NormFloat64()*3+float64(part)-4)) / 1000
		}
		a.exec(`INSERT INTO durations SELECT $1, unnest($2::float8[])`, part, seconds)
	}
	a.exec(`
		CREATE VIEW histograms AS
		SELECT part, histogram_of(array_agg(bucket), array_agg(n)) AS histogram
		  FROM (SELECT part, duration_bucket(seconds) AS bucket, count(*) AS n FROM durations GROUP BY 1, 2) AS b
		 GROUP BY part`)
	for _, fraction := range []float64{0, 0.01, 0.25, 0.5, 0.95, 0.99, 1} {
		for _, parts := range [][]int32{{0}, {1}, {0, 1}, {7, 0}, {0, 1, 2, 3, 4, 5, 6, 7}} {
			near := value[bool](a, `
				SELECT abs(h - true_one) <= 0.001 + 0.045 * true_one
				  FROM (SELECT histogram_percentile(histogram_sum(histogram), $1) AS h FROM histograms WHERE part = ANY ($2)) AS h,
				       (SELECT percentile_disc($1) WITHIN GROUP (ORDER BY seconds) AS true_one FROM durations WHERE part = ANY ($2)) AS t`,
				fraction, parts)
			if !near {
				t.Errorf("the percentile %v of parts %d is far from the true one", fraction, parts)
			}
		}
	}
	got := a.rows(`
		SELECT histogram_of('{5,3}', '{1,2}'), histogram_of('{}', '{}'), histogram_add('[3:5]={2,0,1}', '[1:2]={7,8}'),
		       histogram_add('[3:5]={2,0,1}', '[5:6]={7,8}'), histogram_add('{}', '[5:6]={7,8}'),
		       histogram_percentile('{}', 0.5), histogram_percentile('[0:0]={3}', 0.5), histogram_percentile(NULL, 0.5),
		       duration_bucket(NULL), duration_bucket(-1), duration_bucket(0.001), duration_bucket(0.002), duration_bucket(1e300)`)
	want := []string{`("[3:5]={2,0,1}",,"{7,8,2,0,1}","[3:6]={2,0,8,8}","[5:6]={7,8}",,0,,,0,1,9,255)`}
	if !slices.Equal(want, got) {
		t.Errorf("histograms are\n%s, want\n%s", got, want)
	}
}

// If few functions are due, their rows are found by the index on functions and times.
func TestFiguresOfFewFunctions(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for i := range figures.FewFunctions + 6 { // all of them are not few
		a.function(fmt.Sprint("f", i))
	}
	functions := value[[]int32](a, `SELECT array_agg(function_id ORDER BY function_id) FROM functions`)
	if err := a.store.EnsureDay(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	a.exec(`
		INSERT INTO invocations_dated (function_id, request_id, status, queried_window, start_time, end_time, first_archived_at, updated_at)
		SELECT f, f || '-' || n, 'SUCCESS', $2::timestamptz, $2::timestamptz + n * interval '108 seconds', $2::timestamptz + n * interval '108 seconds', $2, $2
		  FROM unnest($1::integer[]) AS f, generate_series(0, 799) AS n
		 ORDER BY f, n`, functions, today)
	if err := a.store.Analyze(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.exec(`INSERT INTO hourly_figures_due SELECT f, $2::timestamptz + n * interval '1 hour' FROM unnest($1::integer[]) AS f, generate_series(0, 23) AS n`, functions, today)
	countFigures(t, a.store)
	checkFigures(a)

	for name, sql := range map[string]string{"hours": figures.CountHours(), "error codes": figures.CountErrorCodes()} {
		tx, err := a.store.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), figures.PlanCounts); err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(t.Context(), `EXPLAIN `+sql, pg.Args{
			"functions": functions[:1], "windows": []time.Time{today}, "from": today, "to": today.AddDate(0, 0, 1), "few": functions[:1],
		})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); !strings.Contains(text, "Bitmap Index Scan on invocations_20260314_start_time") {
			t.Errorf("%s are counted without the index:\n%s", name, text)
		}
	}
}

// A hasty clock advances by a second at each call of Now.
type hasty struct {
	archive.Clock

	now time.Time
}

func (c *hasty) Now() time.Time {
	c.now = c.now.Add(time.Second)
	return c.now
}

// The newest day is counted first. Days for which there is no time stay due.
func TestFiguresWithinATime(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	const days = 5
	commit(t, c, lastPage(hours(today, days*24), noted, many(days*24, hours(today, days*24), "r")...))
	left := func() string {
		return value[string](a, `SELECT string_agg(DISTINCT to_char(window_start AT TIME ZONE 'UTC', 'DD'), ' ') FROM hourly_figures_due`)
	}
	for _, want := range []string{"14 15 16", "14"} {
		if err := a.store.CountFigures(t.Context(), &hasty{}, 3*time.Second); err != nil {
			t.Fatal(err)
		}
		if got := left(); got != want {
			t.Errorf("days %s are due, want %s", got, want)
		}
	}
	countFigures(t, a.store)
	checkFigures(a)
}

// The statement of docs/sql.md counts rows that were committed without notes.
func TestFiguresAfterChangeByHand(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "sql.md"))
	if err != nil {
		t.Fatal(err)
	}
	again := regexp.MustCompile(`(?s)"(INSERT INTO archiver_internal.hourly_figures_due.*?)"`).FindSubmatch(page)
	if again == nil {
		t.Fatal("docs/sql.md has no statement")
	}
	c, yesterday := a.newClaim("f"), today.AddDate(0, 0, -1)
	commit(t, c, lastPage(hours(yesterday, 48), noted,
		timed("dropped", archive.StatusSuccess, yesterday, time.Second),
		record("moves", archive.StatusRunning, hour(1)),
		record("settles", archive.StatusRunning, hour(2))))
	countFigures(t, a.store)
	if err := a.store.Retain(t.Context(), today); err != nil {
		t.Fatal(err)
	}
	dropped := a.figures(yesterday)
	commit(t, c, lastPage(hours(today, 24), later,
		timed("moves", archive.StatusSuccess, hour(5), time.Second),
		timed("settles", archive.StatusSuccess, hour(2), time.Second),
		record("new", archive.StatusSuccess, hour(7))))
	a.exec(`DELETE FROM hourly_figures_due`) // it never wrote any
	a.exec(string(again[1]))
	countFigures(t, a.store)
	if diff := cmp.Diff(dropped, a.figures(yesterday)); diff != "" {
		t.Errorf("the dropped day (-want +got):\n%s", diff)
	}
	for _, table := range []string{"hourly_error_codes", "hourly_figures", "daily_figures", "source_figures"} {
		column := map[bool]string{true: "day", false: "window_start"}[table == "daily_figures"]
		a.exec(`DELETE FROM `+table+` WHERE `+column+` < $1`, today)
	}
	checkFigures(a)
}
