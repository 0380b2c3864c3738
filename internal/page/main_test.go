package page

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/load/read"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// now is the time of all tests.
var now = time.Date(2026, 3, 14, 9, 25, 0, 0, time.UTC)

// at returns an hour of a day before today.
func at(days, hour int) time.Time {
	return dayOf(now).AddDate(0, 0, -days).Add(time.Duration(hour) * time.Hour)
}

// An archiveDB is a test's own database and its page.
type archiveDB struct {
	t    testing.TB
	sql  *pgxpool.Pool
	page *Page
	db   *pg.DB
}

func newArchive(t testing.TB) *archiveDB {
	t.Helper()
	url := pgtest.Migrated(t, func(ctx context.Context, url string) error {
		_, err := pg.MigrateUp(ctx, url)
		return err
	})
	log := slog.New(slog.DiscardHandler)
	db, err := pg.Open(t.Context(), url, 4, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &archiveDB{t, pool, &Page{Store: read.New(db), Clock: clocktest.New(now), Log: log, Version: "archiver test", SourceRetention: func(string) time.Duration { return 30 * day }}, db}
}

func (a *archiveDB) exec(sql string, args ...any) {
	a.t.Helper()
	if _, err := a.sql.Exec(a.t.Context(), sql, args...); err != nil {
		a.t.Fatalf("%s: %v", sql, err)
	}
}

func (a *archiveDB) get(path string) string {
	a.t.Helper()
	w := httptest.NewRecorder()
	a.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != 200 {
		a.t.Fatalf("GET %s: %d\n%s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// source adds a source.
func (a *archiveDB) source(name, project string) {
	a.t.Helper()
	a.exec(`
		INSERT INTO archiver_internal.source_notes (name, provider, region, project_id, first_seen, last_seen)
		VALUES ($1, 'functiongraph', 'cn-north-4', $2, $3, $3)
		ON CONFLICT DO NOTHING`, name, project, at(90, 0))
}

// function adds a function, and returns its id.
func (a *archiveDB) function(name string) int32 {
	a.t.Helper()
	a.source("shop", "p")
	source := archive.SourceID{Provider: "functiongraph", Region: "cn-north-4", ProjectID: "p"}
	known, err := load.New(a.db, days.New(a.db)).SeeFunctions(a.t.Context(), source, []archive.Function{
		{URN: fmt.Sprintf("urn:fss:cn-north-4:p:function:default:%s:latest", name), Name: name},
	}, at(90, 0))
	if err != nil {
		a.t.Fatal(err)
	}
	return known[0].ID
}

// windows adds complete windows of a function in [from, to), with records.
func (a *archiveDB) windows(id int32, from, to time.Time, most int) {
	a.t.Helper()
	a.exec(`
		INSERT INTO archiver_internal.windows (function_id, window_start, state, planned, records, source_count, attempts, completed_at)
		SELECT $1, h, 'complete', true, n, n, 1, h + interval '2 hours'
		  FROM generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS h
		 CROSS JOIN LATERAL (
			SELECT ($4 * (0.55 + 0.4 * sin((extract(hour FROM h) - 9) / 24 * 2 * pi()) + 0.05 * sin(extract(epoch FROM h) / 7777))
			        * CASE WHEN extract(isodow FROM h) > 5 THEN 0.4 ELSE 1 END)::integer AS n) AS n`, id, from, to, most)
}

// state sets the state of existing windows.
func (a *archiveDB) state(id int32, from, to time.Time, state, lastError string) {
	a.t.Helper()
	a.exec(`
		UPDATE archiver_internal.windows
		   SET state = $4, last_error = NULLIF($5, ''), records = 0, pending = 0, attempts = 3, completed_at = NULL
		 WHERE function_id = $1 AND window_start >= $2 AND window_start < $3`, id, from, to, state, lastError)
}

// figures adds the figures of the windows: one record in a hundred fails, and
// more in one hour.
func (a *archiveDB) figures() {
	a.t.Helper()
	a.exec(`
		INSERT INTO archiver_internal.hourly_figures (function_id, window_start, records, success, fail, discard, in_flight, other)
		SELECT function_id, window_start, records, records - pending - fail, fail, 0, pending, 0
		  FROM (
			SELECT *, CASE WHEN extract(day FROM window_start) = 11 AND extract(hour FROM window_start) BETWEEN 14 AND 17
			               THEN records / 3 ELSE records * (1 + function_id % 3) / 200 END AS fail
			  FROM archiver_internal.windows
			 WHERE records > 0) AS w`)
	a.exec(`
		INSERT INTO archiver_internal.daily_figures (function_id, day, records, success, fail, discard, in_flight, other)
		SELECT function_id, (window_start AT TIME ZONE 'UTC')::date, sum(records), sum(success), sum(fail), 0, sum(in_flight), 0
		  FROM archiver_internal.hourly_figures
		 GROUP BY 1, 2`)
	a.exec(`
		INSERT INTO archiver_internal.source_figures (provider, region, project_id, window_start, functions, records, success, fail, discard, in_flight, other)
		SELECT provider, region, project_id, window_start, count(*), sum(records), sum(success), sum(fail), 0, sum(in_flight), 0
		  FROM archiver_internal.hourly_figures
		  JOIN functions USING (function_id)
		 GROUP BY 1, 2, 3, 4`)
}
