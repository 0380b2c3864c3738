package migrations

import (
	"database/sql"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var inPublic = Schema{People: "public", Internal: "archiver_internal", Days: "archiver_days"}

// documented are the tables and views that people query.
var documented = []string{
	"error_codes", "failures", "function_aliases", "function_daily", "function_hourly", "function_versions",
	"functions", "invocation_history", "invocations", "notification_settings", "notification_settings_history",
	"rejected_records", "runs", "source_hourly", "source_limits", "source_lists", "sources", "status_log_off", "window_coverage",
}

// differences are the tables and columns that are not as testdata/steps made them,
// and what they are now. "" stands for a column that was removed.
//
// Comments are not compared. All of them were rewritten in plain sentences, and
// TestCommentsOnAll in internal/load fails if one is missing.
var differences = map[string]string{
	// Every version is read as a function of its own: nothing is covered by another one.
	"functions.covered_at": "", "functions.covered_to": "", "functions.covered_since": "",
	"function_versions.covered_since": "",
	"columns of functions": "function_id, provider, region, project_id, function_urn, function_name, first_seen, last_seen, gone_at, " +
		"strays, settings_asked_at, latest_id, versions_at, versions_mark",
	"columns of function_versions": "provider, region, project_id, function_name, function_urn, version, aliases, first_seen, last_seen, gone_at",
}

// People see what the steps made that 00001_schema.sql replaced.
func TestDocumentedTablesAreAsTheyWere(t *testing.T) {
	t.Parallel()
	before := open(t)
	old, err := goose.NewProvider(goose.DialectPostgres, before, os.DirFS("testdata/steps"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := open(t)
	provider, err := NewProvider(now, inPublic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	want, got := described(t, before), described(t, now)
	if len(want) < 150 {
		t.Fatalf("only %d things are compared", len(want))
	}
	maps.Copy(want, differences)
	maps.DeleteFunc(want, func(_, is string) bool { return is == "" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documented tables and columns (-before +now):\n%s", diff)
	}
	// Later migrations add columns at the end, and change and remove nothing.
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := described(t, now)
	for what, was := range got {
		if is := last[what]; is != was && !(strings.HasPrefix(what, "columns of ") && strings.HasPrefix(is, was+", ")) {
			t.Errorf("%s was %q, and is %q after all migrations", what, was, is)
		}
	}
}

// described are the documented tables with their kind, and their columns with type
// and default.
func described(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	return collect(t, db, `
		SELECT relname, relkind::text
		  FROM pg_class
		 WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($1)
		UNION ALL
		SELECT c.relname || '.' || a.attname,
		       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
		                 NULLIF(a.attcollation, 0)::regcollation, pg_get_expr(d.adbin, d.adrelid))
		  FROM pg_class c
		  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
		UNION ALL
		SELECT 'columns of ' || c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum)
		  FROM pg_class c
		  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
		 GROUP BY c.relname`, documented)
}

// In the schema that people browse is nothing but what they query.
func TestWhatAPersonSees(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	seen := collect(t, db, `
		SELECT relname, ''
		  FROM pg_class
		 WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i', 'I', 'S')`)
	if diff := cmp.Diff(documented, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("tables and views (-documented +seen):\n%s", diff)
	}
	seen = collect(t, db, `SELECT proname, '' FROM pg_proc WHERE pronamespace = 'public'::regnamespace`)
	if diff := cmp.Diff([]string{"histogram_percentile", "histogram_sum"}, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("functions (-documented +seen):\n%s", diff)
	}
}

// migrated is a database with the schema.
func migrated(t *testing.T) *sql.DB {
	t.Helper()
	db := open(t)
	provider, err := NewProvider(db, inPublic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// open opens an empty database.
func open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// collect reads rows of a name and a text.
func collect(t *testing.T, db *sql.DB, query string, args ...any) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var name string
		var is sql.NullString
		if err := rows.Scan(&name, &is); err != nil {
			t.Fatal(err)
		}
		found[name] = is.String
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
