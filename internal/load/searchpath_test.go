package load

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"archiver/internal/load/pg"
	"archiver/internal/pgserver/pgtest"
)

// An archive that was made when search_path named the schema is found without it, and
// whatever search_path says now.
func TestArchiveOfASearchPath(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if _, err := pg.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{
		`ALTER SCHEMA public RENAME TO people`, `CREATE SCHEMA public`,
		`ALTER DATABASE ` + conn.Config().Database + ` SET search_path = nowhere`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	a := archiveOn(t, url)
	want := pg.Schema{People: "people", Internal: "archiver_internal", Days: "archiver_days"}
	if a.DB.Schema != want {
		t.Errorf("the archive is in %+v, want %+v", a.DB.Schema, want)
	}
	commit(t, a.newClaim("f"), lastPage(hours(today, 24), noted, many(10, hours(today, 24), "r")...))
	if n := value[int](a, `SELECT count(*) FROM people.invocation_history`); n != 10 {
		t.Errorf("people see %d rows, want 10", n)
	}
	if n := value[int](a, `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`); n != 0 {
		t.Errorf("%d relations are in public", n)
	}
}
