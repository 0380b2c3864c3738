// Package load keeps the archive in PostgreSQL. It implements archive.Store.
//
// A record's way: [claim.Commit] (commit.go) looks up what the archive has of
// a page's request ids (probe.go), sorts the page into new, changed and
// unchanged rows (classify.go), copies the new and changed ones into their
// partitions (copy.go) and writes the checkpoint with them
// (windows.go), all in one transaction.
//
// What holds after every commit, and after a crash at any line:
//
//   - one row a request id, over all partitions;
//   - windows.records, .pending and .rejected equal the rows of that window;
//   - a walk's cursor stands after the last page whose rows are there;
//   - nothing was written by a worker that had lost its claim.
package load

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"archiver/internal/archive"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
)

// A Store writes the archive. Many goroutines may use a Store at once.
type Store struct {
	db       *pg.DB
	pool     *pgxpool.Pool // of db
	days     *days.Days
	writes   *gather[*write]
	claims   *gather[*claim]
	releases *gather[*claim]
}

// New is a Store on the database. The caller closes the database.
func New(db *pg.DB, days *days.Days) *Store {
	s := &Store{db: db, pool: db.Pool, days: days}
	s.writes, s.claims, s.releases = newWrites(s), newClaims(s), newReleases(s)
	return s
}

var _ archive.Store = (*Store)(nil)
