package load

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
)

// Every table, view and column has a comment.
func TestCommentsOnAll(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	loadtest.Fill(t, a.newClaim("f"))
	missing := a.Rows(`
		SELECT c.relname, NULL AS attname
		  FROM pg_class c
		 WHERE c.relnamespace IN ('public'::regnamespace, 'archiver_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
		   AND COALESCE(obj_description(c.oid, 'pg_class'), '') = ''
		UNION ALL
		SELECT c.relname, t.attname
		  FROM pg_class c
		  JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped
		 WHERE c.relnamespace IN ('public'::regnamespace, 'archiver_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
		   AND COALESCE(col_description(c.oid, t.attnum), '') = ''
		 ORDER BY 1, 2`)
	if len(missing) > 0 {
		t.Errorf("without a comment (COMMENT ON) are:\n%s", strings.Join(missing, "\n"))
	}
}

// notForReaders are internal tables that tell a reader nothing. All others are
// given to archiver_reader (SELECT archiver_internal.allow_reading('…')) by the step that makes them.
var notForReaders = []string{
	"claims", "commit_lock", "figures_lock", "hourly_figures_due", "window_writers", "windows_after", "windows_before",
}

// The reader reads everything, also days that are created later, and changes nothing.
func TestReader(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	loadtest.Fill(t, c)
	commit(t, c, lastPage(hours(today.AddDate(0, 0, 5), 1), noted, record("new", archive.StatusSuccess, today.AddDate(0, 0, 5))))
	relations := a.Rows(`
		SELECT relname FROM pg_class
		 WHERE relnamespace IN ('public'::regnamespace, 'archiver_internal'::regnamespace) AND relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition`)
	conn, err := a.SQL.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	exec := func(sql string) error {
		_, err := conn.Exec(t.Context(), sql)
		return err
	}
	if err := exec(`SET ROLE archiver_reader`); err != nil {
		t.Fatal(err)
	}
	denied := func(err error) bool {
		var pg *pgconn.PgError
		return errors.As(err, &pg) && pg.Code == pgerrcode.InsufficientPrivilege
	}
	for _, r := range relations {
		name := strings.Trim(r, "()")
		if hidden := slices.Contains(notForReaders, name); denied(exec(`SELECT * FROM `+name+` LIMIT 0`)) != hidden {
			t.Errorf("%s may not be read: %v, want %v", name, !hidden, hidden)
		}
		if err := exec(`DELETE FROM ` + name); !denied(err) && !strings.Contains(err.Error(), "cannot delete from view") {
			t.Errorf("DELETE FROM %s: %v", name, err)
		}
	}
	for _, sql := range []string{
		`INSERT INTO hourly_figures_due VALUES (1, now())`, `UPDATE invocations SET status = 'SUCCESS'`,
		`UPDATE window_coverage SET state = 'complete'`, `TRUNCATE windows`, `DROP TABLE invocations`,
	} {
		if err := exec(sql); !denied(err) && !strings.Contains(err.Error(), "cannot update view") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if n := value[int](a, `SELECT count(*) FROM invocation_history WHERE request_id = 'new'`); n != 1 {
		t.Errorf("%d rows of a new day are seen", n)
	}
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM invocation_history WHERE start_time >= $1`, today).Scan(&n); err != nil || n != 12 {
		t.Errorf("the reader sees %d rows, %v", n, err)
	}
	if err := exec(`RESET ROLE`); err != nil {
		t.Fatal(err)
	}
}

// The grant of docs/sql.md gives a later role all that the reader has.
func TestReaderMadeLater(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const readable = `SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND has_table_privilege('archiver_reader', oid, 'SELECT')
		AND relnamespace IN ('public'::regnamespace, 'archiver_internal'::regnamespace, 'archiver_days'::regnamespace)`
	before := value[int](a, readable)
	a.Exec(`REVOKE ALL ON ALL TABLES IN SCHEMA public, archiver_internal, archiver_days FROM archiver_reader`)
	a.Exec(`REVOKE USAGE ON SCHEMA archiver_internal, archiver_days FROM archiver_reader`)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "sql.md"))
	if err != nil {
		t.Fatal(err)
	}
	grant := regexp.MustCompile(`(?s)"(SELECT archiver_internal.allow_reading\(.*?)"`).FindSubmatch(page)
	if grant == nil {
		t.Fatal("docs/sql.md has no grant")
	}
	a.Exec(string(grant[1]))
	if n := value[int](a, `
		SELECT count(*) FROM pg_class
		 WHERE relnamespace IN ('public'::regnamespace, 'archiver_internal'::regnamespace) AND relkind IN ('r', 'p', 'v') AND NOT relispartition
		   AND NOT has_table_privilege('archiver_reader', oid, 'SELECT')`); n != 0 {
		t.Errorf("%d tables may not be read", n)
	}
	if n := value[int](a, readable); n < before {
		t.Errorf("%d tables may be read, %d after the migration", n, before)
	}
	if !value[bool](a, `SELECT has_schema_privilege('archiver_reader', 'archiver_internal', 'USAGE') AND has_schema_privilege('archiver_reader', 'archiver_days', 'USAGE')`) {
		t.Error("the schemas may not be used")
	}
}

// If the migrating role may not create roles, and the reader does not exist, the schema
// comes up without it. The test's cluster has the reader already, so the function is
// asked for another role.
func TestReaderMayNotBeMade(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	owner := "owner_" + strings.ToLower(strings.ReplaceAll(time.Now().UTC().Format("150405.000000000"), ".", ""))
	a.Exec(`CREATE ROLE ` + owner)
	a.Exec(`GRANT USAGE ON SCHEMA archiver_internal TO ` + owner)
	t.Cleanup(func() {
		for _, sql := range []string{`DROP OWNED BY ` + owner, `DROP ROLE ` + owner} {
			if _, err := a.store.pool.Exec(context.WithoutCancel(t.Context()), sql); err != nil {
				t.Error(err)
			}
		}
	})
	definition := value[string](a, `SELECT pg_get_functiondef('archiver_internal.allow_reading'::regproc)`)
	a.Exec(strings.NewReplacer("archiver_reader", "another_reader", "allow_reading", "allow_another").Replace(definition))
	tx, err := a.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{`SET LOCAL ROLE ` + owner, `SELECT archiver_internal.allow_another('functions')`} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		t.Fatal(err)
	}
	if n := value[int](a, `SELECT count(*) FROM pg_roles WHERE rolname = 'another_reader'`); n != 0 {
		t.Error("the role was made")
	}
}
