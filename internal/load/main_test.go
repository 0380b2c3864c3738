package load

import (
	"testing"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/loadtest"
	"archiver/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	today, noted, later = loadtest.Today, loadtest.Noted, loadtest.Later

	hours, hour, span            = loadtest.Hours, loadtest.Hour, loadtest.Span
	record, page, lastPage, many = loadtest.Record, loadtest.Page, loadtest.LastPage, loadtest.Many
	told, answer, keep           = loadtest.Told, loadtest.Answer, loadtest.Keep
	commit, eventually           = loadtest.Commit, loadtest.Eventually
)

// An archiveDB is an archive whose store and claims are those of this package.
type archiveDB struct {
	*loadtest.Archive

	store *Store
}

func newArchive(t testing.TB) *archiveDB {
	t.Helper()
	return inside(loadtest.New(t, New))
}

// archiveOn is an archive in a given database.
func archiveOn(t testing.TB, url string) *archiveDB {
	t.Helper()
	return inside(loadtest.On(t, url, New))
}

func inside(a *loadtest.Archive) *archiveDB {
	return &archiveDB{a, a.Store.(*Store)} //nolint:forcetypeassert // opened by New
}

// in is the same archive for a subtest.
func (a *archiveDB) in(t testing.TB) *archiveDB {
	within := *a.Archive
	within.T = t
	return &archiveDB{&within, a.store}
}

// openStore is the store of another process.
func openStore(t testing.TB, url string) *Store {
	t.Helper()
	db := loadtest.OpenDB(t, url)
	return New(db, days.New(db))
}

func (a *archiveDB) claim(f archive.Known) *claim {
	a.T.Helper()
	return claimOf(a.T, a.store, f)
}

func claimOf(t testing.TB, s *Store, f archive.Known) *claim {
	t.Helper()
	got, err := s.Claim(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := got.(*claim)
	if !ok {
		t.Fatalf("the store's claims are %T", got)
	}
	return c
}

// newClaim is a claim of a function of its own.
func (a *archiveDB) newClaim(name string) *claim {
	a.T.Helper()
	return a.claim(a.Function(name))
}

// value is the answer of a query for one value.
func value[T any](a *archiveDB, sql string, args ...any) T {
	a.T.Helper()
	return loadtest.Value[T](a.Archive, sql, args...)
}

// blocked reports whether a session of this database waits for a lock.
func (a *archiveDB) blocked() bool {
	a.T.Helper()
	return value[bool](a, `
		SELECT EXISTS (
			SELECT FROM pg_stat_activity
			 WHERE datname = current_database() AND wait_event_type = 'Lock')`)
}
