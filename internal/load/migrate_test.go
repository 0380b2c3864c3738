package load

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/load/pg"
	"archiver/internal/pgserver/pgtest"
)

// ours are the relations, types and functions of the schema that are not the
// migrations' own bookkeeping.
const ours = `
	WITH homes AS (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'archiver_internal', 'archiver_days'))
	SELECT 'relation', relname::text FROM pg_class
	 WHERE relnamespace IN (SELECT oid FROM homes) AND relname NOT LIKE 'goose_%'
	UNION ALL
	SELECT 'type', typname::text FROM pg_type
	 WHERE typnamespace IN (SELECT oid FROM homes) AND typname NOT LIKE '%goose_%'
	UNION ALL
	SELECT 'function', proname::text FROM pg_proc WHERE pronamespace IN (SELECT oid FROM homes)
	ORDER BY 1, 2`

func TestMigrateUpAndDown(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	m, err := pg.NewMigrator(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()

	steps := status(t, m)
	if len(steps) == 0 || slices.ContainsFunc(steps, func(s pg.Migration) bool { return s.Applied }) {
		t.Fatalf("an empty database's migrations: %+v", steps)
	}
	store := archiveOn(t, url).Read
	if err := store.Ping(t.Context()); err == nil {
		t.Error("an empty database is taken for an archive")
	}
	for round := range 2 {
		applied, err := m.Up(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(applied) != len(steps) {
			t.Errorf("round %d: %d of %d steps were applied", round, len(applied), len(steps))
		}
		if again, err := m.Up(t.Context()); err != nil || len(again) != 0 {
			t.Errorf("up of what is up applies %+v, %v", again, err)
		}
		for _, s := range status(t, m) {
			if !s.Applied {
				t.Errorf("after up, %s is not applied", s.Name)
			}
		}
		if err := store.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		// The schema can be reverted with days and data in it.
		a := archiveOn(t, url)
		commit(t, a.newClaim("f"), lastPage(hours(today, 48), noted, many(10, hours(today, 48), "r")...))
		a.Exec(`INSERT INTO runs (asked_by, range_from, range_to, started_at) VALUES ('once', now(), now(), now())`)

		for range steps {
			if _, err := m.Down(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if left := a.Rows(ours); len(left) != 0 {
			t.Errorf("after down, these are left: %v", left)
		}
		if diff := cmp.Diff(steps, status(t, m)); diff != "" {
			t.Errorf("status after down (-before +after):\n%s", diff)
		}
	}
}

func status(t *testing.T, m *pg.Migrator) []pg.Migration {
	t.Helper()
	steps, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return steps
}
