package days_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load/loadtest"
	"archiver/internal/pgserver/pgtest"
)

// subscriber is a database that follows the publication of an archive, with one table
// of invocations.
func subscriber(a *loadtest.Archive, table string) *pgx.Conn {
	a.T.Helper()
	url := pgtest.Database(a.T)
	ctx := context.WithoutCancel(a.T.Context())
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		a.T.Fatal(err)
	}
	exec := func(sql string) {
		a.T.Helper()
		if _, err := conn.Exec(ctx, sql); err != nil {
			a.T.Errorf("%s: %v", sql, err)
		}
	}
	name := "s" + strings.TrimPrefix(conn.Config().Database, "test_")
	exec(table)
	// A subscription to the same server cannot create its slot.
	a.Exec(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, name)
	exec(`CREATE SUBSCRIPTION ` + name + ` CONNECTION '` + a.URL + `' PUBLICATION invocations WITH (create_slot = false, slot_name = ` + name + `)`)
	a.T.Cleanup(func() {
		exec(`DROP SUBSCRIPTION ` + name)
		if err := conn.Close(ctx); err != nil {
			a.T.Error(err)
		}
	})
	return conn
}

// follows waits until a subscriber has the rows of the archive without the day that is dropped.
func follows(a *loadtest.Archive, subscribed *pgx.Conn) {
	a.T.Helper()
	const all = `
		SELECT COALESCE(string_agg(i::text, E'\n' ORDER BY i::text), '')
		  FROM (
			SELECT request_id, status, start_time, error_code, extra, updated_at
			  FROM invocations
			 WHERE start_time IS NULL OR start_time >= '2026-03-13') AS i`
	var want, got string
	defer func() {
		if want != got {
			a.T.Errorf("rows (-archive +subscriber):\n%s", cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
		}
	}()
	loadtest.Eventually(a.T, "the subscriber has all rows", func() bool {
		want = loadtest.Value[string](a, all)
		if err := subscribed.QueryRow(a.T.Context(), all).Scan(&got); err != nil {
			a.T.Fatal(err)
		}
		return want == got
	})
}

// The archive is published through its root. A subscriber with a table like that of
// docs/replication.md, and one whose table has no key, stay equal while records settle
// and change, and days are added, dropped and merged. FOR ALL TABLES keeps no one from writing.
func TestReplication(t *testing.T) {
	t.Parallel()
	a, c := filled(t)
	a.Exec(`CREATE PUBLICATION all_tables FOR ALL TABLES`)
	page, err := os.ReadFile("../../../docs/replication.md")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	publish, table, forget := said[0][1], said[1][1], said[3][1]
	a.Exec(publish)
	keyed := subscriber(a, table)
	bare := subscriber(a, regexp.MustCompile(`,\s+PRIMARY KEY [^)]*\)`).ReplaceAllString(table, ""))

	s := loadtest.Hours(loadtest.Today, 24)
	at := loadtest.Today.Add(time.Hour)
	loadtest.Commit(t, c, loadtest.Page(s, loadtest.Later, loadtest.Record("new", archive.StatusWait, time.Time{}),
		loadtest.Record("fails", archive.StatusSuccess, at), loadtest.Record("moves", archive.StatusSuccess, at)))
	for _, subscribed := range []*pgx.Conn{keyed, bare} {
		follows(a, subscribed)
	}
	later := loadtest.Later.Add(time.Hour)
	loadtest.Commit(t, c, loadtest.LastPage(s, later, loadtest.Record("new", archive.StatusSuccess, at), loadtest.Record("waits0", archive.StatusFail, at),
		loadtest.Record("fails", archive.StatusFail, at), loadtest.Record("moves", archive.StatusSuccess, at.AddDate(0, 0, 1))))
	a.CountFigures()
	if err := a.Days.Retain(t.Context(), loadtest.Today.AddDate(0, 0, -1)); err != nil {
		t.Fatal(err)
	}
	for _, subscribed := range []*pgx.Conn{keyed, bare} {
		follows(a, subscribed)
		deleted, err := subscribed.Exec(t.Context(), strings.Replace(forget, "now() - interval '400 days'", "timestamptz '2026-03-13 12:00Z'", 1))
		if err != nil || deleted.RowsAffected() != 10 {
			t.Errorf("%s of an old day: %v", deleted, err)
		}
	}
	// The days become a month, and records of the month arrive as before.
	a.Exec(`DROP PUBLICATION all_tables`)
	a.Days.UseClock(clocktest.New(loadtest.Today.AddDate(0, 3, 0)))
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today.AddDate(0, 3, 0), 1), later))
	merges := loadtest.Value[bool](a, `SELECT current_setting('server_version_num')::integer >= 150000`)
	months, err := a.Days.Unmerged(t.Context(), time.Time{}, false)
	if err != nil || len(months) != 1 || (months[0].Stay == nil) != merges {
		t.Errorf("unmerged are %v, %v", months, err)
	}
	if err := a.Days.Merge(t.Context(), time.Time{}, untold); err != nil || (len(tables(a)) == 1) != merges {
		t.Errorf("merge: %v, %s", err, tables(a))
	}
	loadtest.Commit(t, c, loadtest.LastPage(s, later.Add(time.Hour), loadtest.Record("new", archive.StatusFail, at), loadtest.Record("more", archive.StatusFail, at)))
	for _, subscribed := range []*pgx.Conn{keyed, bare} {
		follows(a, subscribed)
	}
	a.CheckWindows()
	without := a.Rows(`
		SELECT c.oid::regclass
		  FROM pg_class c
		 WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN ('public', 'archiver_internal', 'archiver_days')
		   AND c.relreplident <> 'f' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)`)
	if len(without) > 0 {
		t.Errorf("tables without a replica identity: %s", without)
	}
}
