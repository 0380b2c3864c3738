package load

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
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
	m, err := pg.NewMigrator(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()

	steps := status(t, url)
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
		for _, s := range status(t, url) {
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
			if _, err := takeBack(t, m, url); err != nil {
				t.Fatal(err)
			}
		}
		if left := a.Rows(ours); len(left) != 0 {
			t.Errorf("after down, these are left: %v", left)
		}
		if diff := cmp.Diff(steps, status(t, url)); diff != "" {
			t.Errorf("status after down (-before +after):\n%s", diff)
		}
	}
}

// takeBack takes the newest step back.
func takeBack(t *testing.T, m *pg.Migrator, url string) (newest pg.Migration, err error) {
	t.Helper()
	for _, step := range status(t, url) {
		if step.Applied {
			newest = step
		}
	}
	return newest, m.Down(t.Context(), newest)
}

func status(t *testing.T, url string) []pg.Migration {
	t.Helper()
	steps, err := loadtest.OpenDB(t, url).Migrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// A database goes back over the step of expired windows and forward again with its data:
// the next run reads expired windows again, and the days count all windows.
func TestMigrateExpiredBack(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	expire(t, c, span(0, 4), noted, map[int]archive.Expired{0: {Missed: true}, 1: {Unproven: true}}, record("r", archive.StatusSuccess, hour(0)))
	if _, err := c.Fail(t.Context(), span(4, 5), archive.Refusal{Reason: "400", Stuck: true}, noted); err != nil {
		t.Fatal(err)
	}
	if err := a.store.EndList(t.Context(), archive.SourceID{}, nil, noted); err != nil {
		t.Fatal(err)
	}
	m, err := pg.NewMigrator(t.Context(), a.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range 2 {
		for range len(status(t, a.URL)) - 1 { // back to 00001_schema.sql
			if _, err := takeBack(t, m, a.URL); err != nil {
				t.Fatal(err)
			}
		}
		// The triggers and views of the step before are at work.
		a.Exec(`UPDATE windows SET attempts = attempts + 1`)
		const states = `SELECT state, count(*), count(completed_at), sum(records) FROM window_coverage GROUP BY 1 ORDER BY 1`
		if diff := cmp.Diff([]string{"(complete,2,2,0)", "(failed,1,0,0)", "(pending,2,0,1)"}, a.Rows(states)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"(5,2,3,1,1)"}, a.Rows(`SELECT windows, complete, open, failed, records FROM window_totals`)); diff != "" {
			t.Errorf("totals (-want +got):\n%s", diff)
		}
		if _, err := m.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.CheckWindows()
	}
	a = archiveOn(t, a.URL) // prepared statements are of the schema before
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	expire(t, a.claim(c.function), span(0, 4), later, map[int]archive.Expired{0: {Missed: true}})
	a.CheckWindows()
}

// The step of months waits only half a second at a time for those who use invocations, and
// is not reverted while a month has one table.
func TestMigrateMonths(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	m, err := pg.NewMigrator(t.Context(), a.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	back := func() error {
		for {
			if step, err := takeBack(t, m, a.URL); err != nil || step.Version == 6 {
				return err
			}
		}
	}
	a.Exec(`CREATE TABLE archiver_days.invocations_202001 PARTITION OF archiver_days.invocations_dated FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-02-01 00:00Z')`)
	if err := back(); err == nil || !strings.Contains(err.Error(), "the days of invocations_202001 are in one table") {
		t.Errorf("back with a month: %v", err)
	}
	a.Exec(`DROP TABLE archiver_days.invocations_202001`)
	if err := back(); err != nil {
		t.Fatal(err)
	}
	reader, err := a.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), `SELECT FROM invocations`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := m.Up(t.Context())
		ended <- err
	}()
	loadtest.Eventually(t, "the step waits for the reader", func() bool {
		return value[bool](a, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock')`)
	})
	if n := value[int](a, `SELECT count(*) FROM invocations`); n != 0 {
		t.Errorf("%d rows", n)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "migrate again") {
		t.Errorf("forward with a reader: %v", err)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := a.Rows(`SELECT relid::regclass FROM pg_partition_tree('invocations') JOIN pg_class ON oid = relid WHERE relreplident <> 'f'`); len(left) != 0 {
		t.Errorf("%s have no replica identity", left)
	}
}
