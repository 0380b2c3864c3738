package figures_test

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
	"archiver/internal/load"
	"archiver/internal/load/figures"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/pg"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	failed := loadtest.Timed("failed", archive.StatusFail, loadtest.Hour(2), time.Minute)
	failed.ErrorCode, failed.ErrorMessage = strings.Repeat("é", 4000), strings.Repeat("x", 10_000)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Span(0, 24), loadtest.Noted,
		loadtest.Timed("ok", archive.StatusSuccess, loadtest.Hour(2), 1500*time.Millisecond),
		loadtest.Timed("at once", archive.StatusSuccess, loadtest.Hour(2), 0),
		loadtest.Timed("backwards", archive.StatusSuccess, loadtest.Hour(2), -time.Hour),
		loadtest.Timed("endless", archive.StatusSuccess, loadtest.Hour(2), 30*24*time.Hour),
		loadtest.Timed("early", archive.StatusRunning, loadtest.Hour(2), time.Hour),
		loadtest.Record("strange", "HIBERNATING", loadtest.Hour(2)),
		loadtest.Record("waits", archive.StatusWait, time.Time{}),
		loadtest.Record("never", archive.StatusDiscard, time.Time{}),
		failed))
	a.CountFigures()
	a.CheckFigures()
	want := []string{`("2026-03-14 02:00:00",7,4,1,0,1,1,5,2592061.5,2592000,0.2)`, `("2026-03-14 23:00:00",2,0,0,1,1,0,0,0,,0.0)`}
	got := a.Rows(`
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
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	steps := [][]archive.Invocation{
		{loadtest.Record("r", archive.StatusWait, time.Time{}), loadtest.Record("s", archive.StatusSuccess, loadtest.Hour(1))},
		{loadtest.Record("r", archive.StatusRunning, loadtest.Hour(2))},
		{loadtest.Timed("r", archive.StatusFail, loadtest.Hour(2), time.Second)},
		{loadtest.Timed("r", archive.StatusSuccess, loadtest.Hour(30), time.Second)},
		{loadtest.Timed("r", archive.StatusSuccess, loadtest.Hour(30), time.Minute)},
		{loadtest.Timed("s", archive.StatusSuccess, loadtest.Hour(3), time.Minute)},
	}
	for i, records := range steps {
		loadtest.Commit(t, c, loadtest.LastPage(loadtest.Span(0, 48), loadtest.Noted.Add(time.Duration(i)*time.Minute), records...))
		if n := loadtest.Value[int](a, `SELECT count(*) FROM hourly_figures_due`); n == 0 {
			t.Errorf("step %d notes nothing", i)
		}
		a.CountFigures()
		a.CheckFigures()
	}
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Span(0, 48), loadtest.Later, steps[5]...))
	if n := loadtest.Value[int](a, `SELECT count(*) FROM hourly_figures_due`); n != 0 {
		t.Errorf("%d notes of what was there", n)
	}
}

// A note that is written while its hour is counted stays. A count that is rolled back
// leaves the notes that it took.
func TestFiguresNotedWhileCounting(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	loadtest.Commit(t, c, loadtest.Page(loadtest.Span(0, 1), loadtest.Noted, loadtest.Record("first", archive.StatusSuccess, loadtest.Hour(0))))
	for _, end := range []func(pgx.Tx) error{
		func(tx pgx.Tx) error { return tx.Rollback(t.Context()) },
		func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
	} {
		tx, err := a.DB.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := figures.CountDay(t.Context(), tx, loadtest.Today); err != nil {
			t.Fatal(err)
		}
		loadtest.Commit(t, c, loadtest.Page(loadtest.Span(0, 1), loadtest.Noted, loadtest.Record(fmt.Sprint("new", loadtest.Value[int](a, `SELECT count(*) FROM invocations`)), archive.StatusSuccess, loadtest.Hour(0))))
		if err := end(tx); err != nil {
			t.Fatal(err)
		}
		if n := loadtest.Value[int](a, `SELECT count(*) FROM hourly_figures_due`); n == 0 {
			t.Error("the note is lost")
		}
	}
	a.CountFigures()
	a.CheckFigures()
}

// Several processes commit and count at the same time. In the end the figures equal the
// rows.
func TestFiguresDuringCommits(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	const workers, rounds = 4, 12
	var all sync.WaitGroup
	for i := range workers {
		f, s := a.Function(fmt.Sprint("f", i)), a.Open(a.URL)
		all.Go(func() {
			c := s.Claim(f)
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for n := range rounds {
				records := loadtest.Many(40, loadtest.Hours(loadtest.Today, 48), fmt.Sprintf("r%d", i))
				for j := range records {
					records[j].Start = records[j].Start.Add(time.Duration(r.IntN(3)) * archive.Hour)
					records[j].Status = []string{archive.StatusWait, archive.StatusSuccess, archive.StatusFail}[r.IntN(3)]
				}
				loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(loadtest.Today, 48), loadtest.Noted.Add(time.Duration(n)*time.Minute), records...))
				if n%3 == i%3 {
					if err := figures.Count(t.Context(), s.DB, archive.SystemClock{}, 0); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	a.CountFigures()
	a.CheckFigures()
}

// Percentiles of histograms, and of their sums, are within 5% of the true ones.
func TestHistograms(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	r := rand.New(rand.NewPCG(1, 9))
	a.Exec(`CREATE TABLE durations (part integer, seconds float8)`)
	for part := range 8 {
		seconds := make([]float64, 1+r.IntN(400))
		for i := range seconds {
			seconds[i] = math.Round(1000*math.Exp(r.NormFloat64()*3+float64(part)-4)) / 1000
		}
		a.Exec(`INSERT INTO durations SELECT $1, unnest($2::float8[])`, part, seconds)
	}
	a.Exec(`
		CREATE VIEW histograms AS
		SELECT part, histogram_of(array_agg(bucket), array_agg(n)) AS histogram
		  FROM (SELECT part, duration_bucket(seconds) AS bucket, count(*) AS n FROM durations GROUP BY 1, 2) AS b
		 GROUP BY part`)
	for _, fraction := range []float64{0, 0.01, 0.25, 0.5, 0.95, 0.99, 1} {
		for _, parts := range [][]int32{{0}, {1}, {0, 1}, {7, 0}, {0, 1, 2, 3, 4, 5, 6, 7}} {
			near := loadtest.Value[bool](a, `
				SELECT abs(h - true_one) <= 0.001 + 0.045 * true_one
				  FROM (SELECT histogram_percentile(histogram_sum(histogram), $1) AS h FROM histograms WHERE part = ANY ($2)) AS h,
				       (SELECT percentile_disc($1) WITHIN GROUP (ORDER BY seconds) AS true_one FROM durations WHERE part = ANY ($2)) AS t`,
				fraction, parts)
			if !near {
				t.Errorf("the percentile %v of parts %d is far from the true one", fraction, parts)
			}
		}
	}
	got := a.Rows(`
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
	a := loadtest.New(t, load.New)
	for i := range figures.FewFunctions + 6 { // all of them are not few
		a.Function(fmt.Sprint("f", i))
	}
	functions := loadtest.Value[[]int32](a, `SELECT array_agg(function_id ORDER BY function_id) FROM functions`)
	if err := a.Days.MakeAhead(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	a.Exec(`
		INSERT INTO invocations_dated (function_id, request_id, status, queried_window, start_time, end_time, first_archived_at, updated_at)
		SELECT f, f || '-' || n, 'SUCCESS', $2::timestamptz, $2::timestamptz + n * interval '108 seconds', $2::timestamptz + n * interval '108 seconds', $2, $2
		  FROM unnest($1::integer[]) AS f, generate_series(0, 799) AS n
		 ORDER BY f, n`, functions, loadtest.Today)
	if err := a.Days.Analyze(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.Exec(`INSERT INTO hourly_figures_due SELECT f, $2::timestamptz + n * interval '1 hour' FROM unnest($1::integer[]) AS f, generate_series(0, 23) AS n`, functions, loadtest.Today)
	a.CountFigures()
	a.CheckFigures()

	for name, sql := range map[string]string{"hours": figures.CountHours(), "error codes": figures.CountErrorCodes()} {
		tx, err := a.DB.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), figures.PlanCounts); err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(t.Context(), `EXPLAIN `+sql, pg.Args{
			"functions": functions[:1], "windows": []time.Time{loadtest.Today}, "from": loadtest.Today, "to": loadtest.Today.AddDate(0, 0, 1), "few": functions[:1],
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
	a := loadtest.New(t, load.New)
	c := a.NewClaim("f")
	const days = 5
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, days*24), loadtest.Noted, loadtest.Many(days*24, loadtest.Hours(loadtest.Today, days*24), "r")...))
	left := func() string {
		return loadtest.Value[string](a, `SELECT string_agg(DISTINCT to_char(window_start AT TIME ZONE 'UTC', 'DD'), ' ') FROM hourly_figures_due`)
	}
	for _, want := range []string{"14 15 16", "14"} {
		if err := figures.Count(t.Context(), a.DB, &hasty{}, 3*time.Second); err != nil {
			t.Fatal(err)
		}
		if got := left(); got != want {
			t.Errorf("days %s are due, want %s", got, want)
		}
	}
	a.CountFigures()
	a.CheckFigures()
}

// The statement of docs/sql.md counts rows that were committed without notes.
func TestFiguresAfterChangeByHand(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "sql.md"))
	if err != nil {
		t.Fatal(err)
	}
	again := regexp.MustCompile(`(?s)"(INSERT INTO archiver_internal.hourly_figures_due.*?)"`).FindSubmatch(page)
	if again == nil {
		t.Fatal("docs/sql.md has no statement")
	}
	c, yesterday := a.NewClaim("f"), loadtest.Today.AddDate(0, 0, -1)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(yesterday, 48), loadtest.Noted,
		loadtest.Timed("dropped", archive.StatusSuccess, yesterday, time.Second),
		loadtest.Record("moves", archive.StatusRunning, loadtest.Hour(1)),
		loadtest.Record("settles", archive.StatusRunning, loadtest.Hour(2))))
	a.CountFigures()
	if err := a.Days.Retain(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	dropped := figuresOf(a, yesterday)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, 24), loadtest.Later,
		loadtest.Timed("moves", archive.StatusSuccess, loadtest.Hour(5), time.Second),
		loadtest.Timed("settles", archive.StatusSuccess, loadtest.Hour(2), time.Second),
		loadtest.Record("new", archive.StatusSuccess, loadtest.Hour(7))))
	a.Exec(`DELETE FROM hourly_figures_due`) // it never wrote any
	a.Exec(string(again[1]))
	a.CountFigures()
	if diff := cmp.Diff(dropped, figuresOf(a, yesterday)); diff != "" {
		t.Errorf("the dropped day (-want +got):\n%s", diff)
	}
	for _, table := range []string{"hourly_error_codes", "hourly_figures", "daily_figures", "source_figures"} {
		column := map[bool]string{true: "day", false: "window_start"}[table == "daily_figures"]
		a.Exec(`DELETE FROM `+table+` WHERE `+column+` < $1`, loadtest.Today)
	}
	a.CheckFigures()
}
