// Package load writes the archive in PostgreSQL. It implements archive.Store. Other
// packages do the rest: read answers queries, days keeps the partitions, figures
// counts.
//
// A page of records takes this way: Commit (commit.go) looks up the stored rows of the
// page's request ids (existing.go), sorts the page into new, changed and unchanged
// rows (classify.go), writes the checkpoint (windows.go, walks.go), and then inserts
// the new and changed rows by COPY, which also commits (copy.go). A changed row is
// deleted before its new version is copied. All of this is one
// transaction.
//
// After every commit, and after a crash at any line:
//
//   - records, pending and rejected of a window equal the rows of the window;
//   - the cursor of a walk stands after the last page whose rows are stored;
//   - no worker that had lost its claim has written anything;
//   - a request id has one row. If two functions bring one request id with starts on
//     different days, it can have two rows until the first function reads it again.
package load

import (
	"context"
	"fmt"
	"sync"
	"time"

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

	claimLocks time.Duration // how long taking a claim waits for each lock

	runsMu   sync.Mutex
	openRuns map[archive.RunID]*openRun
}

// New is a Store on the database. The caller closes the database.
func New(db *pg.DB, days *days.Days) *Store {
	s := &Store{db: db, pool: db.Pool, days: days, claimLocks: archive.ClaimLife, openRuns: make(map[archive.RunID]*openRun)}
	s.writes, s.claims, s.releases = newWrites(s), newClaims(s), newReleases(s)
	return s
}

// Trouble says what an error of the database says.
func (s *Store) Trouble(err error) archive.Trouble { return pg.TroubleOf(err) }

// Server returns which server answers, and since when that server runs.
func (s *Store) Server(ctx context.Context) (string, error) {
	server, err := s.db.Server(ctx)
	if err != nil {
		return "", fmt.Errorf("ask which server answers: %w", err)
	}
	return server, nil
}

var _ archive.Store = (*Store)(nil)
