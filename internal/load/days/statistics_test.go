package days_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
)

// described are the tables with statistics, and PostgreSQL's estimate of their rows.
func described(a *loadtest.Archive) []string {
	a.T.Helper()
	return a.Rows(`
		SELECT c.relname, c.reltuples, s.inherited
		  FROM pg_class c
		  JOIN pg_stats s ON s.tablename = c.relname AND s.attname = 'function_id'
		 WHERE c.relname !~ '^functions|^claims|^window_' ORDER BY 1`)
}

func TestAnalyze(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	analyze := func() {
		t.Helper()
		if err := a.Days.Analyze(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	analyze()
	if got := described(a); len(got) != 0 {
		t.Errorf("an empty archive has statistics: %s", got)
	}
	c := a.NewClaim("f")
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(loadtest.Today, 24), loadtest.Noted, loadtest.Many(500, loadtest.Hours(loadtest.Today, 24), "r")...))
	analyze()
	want := []string{"(invocations,500,t)", "(invocations_20260314,500,f)",
		"(invocations_dated,500,t)", "(invocations_settled,500,t)", "(windows,24,f)"}
	if diff := cmp.Diff(want, described(a)); diff != "" {
		t.Errorf("after a run (-want +got):\n%s", diff)
	}
	if n := loadtest.Value[float64](a, `SELECT n_distinct FROM pg_stats WHERE tablename = 'invocations' AND attname = 'function_id'`); n != 1 {
		t.Errorf("the whole is said to have %v functions", n)
	}

	// Tables without changes, or with few, are not analyzed again.
	last := func() []string {
		t.Helper()
		return a.Rows(`
			SELECT relname, analyze_count FROM pg_stat_user_tables
			 WHERE analyze_count > 0 AND relname ~ '^invocations_20' ORDER BY 1`)
	}
	before := last()
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(loadtest.Today, 24), loadtest.Noted, loadtest.Record("one", archive.StatusSuccess, loadtest.Today)))
	analyze()
	if diff := cmp.Diff(before, last()); diff != "" {
		t.Errorf("analyzed without need (-before +after):\n%s", diff)
	}

	// One more day doubles the number of rows.
	tomorrow := loadtest.Today.AddDate(0, 0, 1)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(tomorrow, 24), loadtest.Noted, loadtest.Many(600, loadtest.Hours(tomorrow, 24), "s")...))
	analyze()
	want = []string{"(invocations,1101,t)", "(invocations_20260314,501,f)", "(invocations_20260315,600,f)",
		"(invocations_dated,1101,t)", "(invocations_settled,1101,t)", "(windows,24,f)"}
	if diff := cmp.Diff(want, described(a)); diff != "" {
		t.Errorf("after another run (-want +got):\n%s", diff)
	}
}

// A role that may write the tables but does not own them gets a line in the log.
func TestAnalyzeWithoutPrivilege(t *testing.T) {
	t.Parallel()
	a, _ := filled(t)
	name := loadtest.Value[string](a, `SELECT 'writer_' || current_database()`)
	a.Exec(`CREATE ROLE ` + name + ` LOGIN PASSWORD 'secret'`)
	a.Exec(`GRANT USAGE ON SCHEMA archiver_internal, archiver_days TO ` + name)
	a.Exec(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, archiver_internal, archiver_days TO ` + name)
	t.Cleanup(func() {
		if _, err := a.SQL.Exec(context.WithoutCancel(t.Context()), `DROP OWNED BY `+name+`; DROP ROLE `+name); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, "secret")
	s, log := logged(a.Open(u.String()))
	if err := s.Days.Analyze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "invocations_20260314") {
		t.Errorf("the log does not say what is left out:\n%s", log)
	}
}

// At the end of a run, each day with rows has an index on times. A day that is being
// written to is left to the next run.
func TestDaysAreIndexed(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	indexed := func() []string {
		t.Helper()
		if err := a.Days.Analyze(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a.Rows(`SELECT relname FROM pg_class WHERE relname ~ '_start_time$' ORDER BY 1`)
	}
	c := a.NewClaim("f")
	if err := a.Days.MakeAhead(t.Context(), loadtest.Today); err != nil {
		t.Fatal(err)
	}
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(loadtest.Today, 1), loadtest.Noted, loadtest.Record("a", archive.StatusSuccess, loadtest.Today)))
	open, err := a.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Exec(t.Context(), `UPDATE invocations SET error_code = '1'`); err != nil {
		t.Fatal(err)
	}
	if got := indexed(); len(got) != 0 {
		t.Errorf("indexed under a writer's hands: %s", got)
	}
	if err := open.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if diff := cmp.Diff([]string{"(invocations_20260314_start_time)"}, indexed()); diff != "" {
			t.Errorf("indexed days (-want +got):\n%s", diff)
		}
	}
}
