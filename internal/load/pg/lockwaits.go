package pg

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// longWait is how long a session may wait for a lock before the log says who holds it.
const longWait = 5 * time.Second

//go:embed lockwaits.sql
var selectLockWaits string

// A lockWait is a session that waits for a lock, and one that keeps it waiting.
type lockWait struct {
	PID         int32
	Since       time.Time
	Lock        string // a table, or a kind of lock
	Holder      int32
	Role        string
	Application string
	HolderSince *time.Time // NULL if this role may not see that
}

func (w *lockWait) String() string {
	text := fmt.Sprintf("session %d waits for a lock (%s) that session %d of role %s (%s) keeps it from", w.PID, w.Lock, w.Holder, w.Role, w.Application)
	if w.HolderSince != nil {
		text += " since " + w.HolderSince.UTC().Format(time.RFC3339)
	}
	return text
}

// WatchLocks logs, until ctx ends, which sessions of this program have waited for a lock
// for more than five seconds, and who holds it: once for each wait.
func (db *DB) WatchLocks(ctx context.Context, clock archive.Clock) {
	said := make(map[lockWait]bool)
	for clock.Sleep(ctx, longWait) == nil {
		waits, err := db.lockWaits(ctx)
		if err != nil {
			db.Log.Debug("cannot ask who waits for locks", "error", err)
			continue
		}
		still := make(map[lockWait]bool)
		for _, w := range waits {
			key := lockWait{PID: w.PID, Since: w.Since, Holder: w.Holder}
			if still[key] = true; !said[key] {
				db.Log.Warn("the archiver waits for a lock", "error", w.String(), "seconds", clock.Now().Sub(w.Since).Seconds())
			}
		}
		said = still
	}
}

// lockWaits asks in the session of the owner lock: all others may wait.
func (db *DB) lockWaits(ctx context.Context) ([]lockWait, error) {
	db.aliveMu.Lock()
	defer db.aliveMu.Unlock()
	if db.alive == nil || ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	// Not with ctx: if ctx ended, pgx would close the session.
	asking, stop := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer stop()
	return CollectBy(asking, db.alive, pgx.RowToStructByPos[lockWait], "the waits for locks", selectLockWaits, Args{"longer": longWait})
}
