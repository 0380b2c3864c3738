package load

import (
	"net/url"
	"testing"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
	"archiver/internal/pgserver/pgtest"
)

// The tables that people query go into the first schema of search_path. A process
// with another search_path does not take the database for an archive.
func TestSearchPath(t *testing.T) {
	t.Parallel()
	plain := pgtest.Database(t)
	u, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = url.Values{"search_path": {"people"}}.Encode()
	a := archiveOn(t, u.String())
	a.Exec(`CREATE SCHEMA people`)
	if _, err := pg.MigrateUp(t.Context(), u.String()); err != nil {
		t.Fatal(err)
	}
	commit(t, a.newClaim("f"), lastPage(hours(today, 24), noted, many(10, hours(today, 24), "r")...))
	if n := value[int](a, `SELECT count(*) FROM people.invocation_history`); n != 10 {
		t.Errorf("people see %d rows, want 10", n)
	}
	if n := value[int](a, `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`); n != 0 {
		t.Errorf("%d relations are in public", n)
	}
	if err := a.Read.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := archiveOn(t, plain).Read.Ping(t.Context()); err == nil {
		t.Error("a process that has another search_path finds the archive")
	}
	due, err := a.store.Due(t.Context(), []archive.Known{a.Function("f")}, archive.Order{Range: hours(today, 25)}, noted)
	if err != nil || len(due) != 1 || due[0].Windows != 1 {
		t.Errorf("due are %v, %v", due, err)
	}
}
