package pg

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
)

// LongWait is how long a session may wait for a lock before the log and the status say who
// holds it.
const LongWait = 5 * time.Second

//go:embed lockwaits.sql
var selectLockWaits string

// A LockWait is a session that waits for a lock, and one that keeps it waiting. Times are in
// UTC. The JSON is that of archiver status --json.
type LockWait struct {
	PID         int32      `json:"pid"`
	Since       time.Time  `json:"since"`
	Lock        string     `json:"lock"` // a table, or a kind of lock
	Holder      int32      `json:"holder_pid"`
	Role        string     `json:"holder_role"`
	Application string     `json:"holder_application"`
	HolderSince *time.Time `json:"holder_since,omitempty"` // nil if this role may not see that
}

func (w *LockWait) String() string {
	text := fmt.Sprintf("session %d waits for a lock (%s) that session %d of role %s (%s) keeps it from", w.PID, w.Lock, w.Holder, w.Role, w.Application)
	if w.HolderSince != nil {
		text += " since " + w.HolderSince.UTC().Format(time.RFC3339)
	}
	return text
}

// LockWaits are the sessions of archivers that have waited for a lock for longer than that.
func LockWaits(ctx context.Context, q Querier, longer time.Duration) ([]LockWait, error) {
	return Collect[LockWait](ctx, q, "the waits for locks", selectLockWaits, Args{"longer": longer, "owner_locks": OwnerLocks})
}

// WatchLocks logs, until ctx ends, which sessions of archivers have waited for a lock for
// longer than that, and who holds it: once for each wait. It asks in a session of its own:
// all others may wait, and if the server does not answer in time, this one is closed.
// The owner's session must not be.
func (db *DB) WatchLocks(ctx context.Context, clock archive.Clock, longer time.Duration) {
	var session *pgx.Conn
	said := make(map[LockWait]bool)
	for clock.Sleep(ctx, longer/5) == nil {
		if session == nil || session.IsClosed() {
			var err error
			if session, err = db.Session(ctx, nil); err != nil {
				db.Log.Debug("cannot ask who waits for locks", "error", err)
				continue
			}
		}
		asking, stop := context.WithTimeout(ctx, connectTimeout)
		waits, err := LockWaits(asking, session, longer)
		stop()
		if err != nil {
			db.Log.Debug("cannot ask who waits for locks", "error", err)
			continue
		}
		still := make(map[LockWait]bool)
		for _, w := range waits {
			key := LockWait{PID: w.PID, Since: w.Since, Holder: w.Holder}
			if still[key] = true; !said[key] {
				db.Log.Warn("the archiver waits for a lock", "error", w.String(), "seconds", clock.Now().Sub(w.Since).Seconds())
			}
		}
		said = still
	}
	if session != nil {
		closing, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer stop()
		_ = session.Close(closing)
	}
}
