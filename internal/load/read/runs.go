package read

import (
	"context"
	_ "embed" // statements
	"time"

	"archiver/internal/load/pg"
)

// A Run is one run. Times are in UTC. The JSON is that of archiver status --json.
type Run struct {
	ID       int64      `json:"run_id"`
	AskedBy  string     `json:"asked_by"`
	Source   *string    `json:"source,omitempty"`
	From     time.Time  `json:"range_from"`
	To       time.Time  `json:"range_to"`
	Started  time.Time  `json:"started_at"`
	Finished *time.Time `json:"finished_at,omitempty"`
	Windows  *int64     `json:"windows,omitempty"`
	Complete *int64     `json:"complete,omitempty"`
	Records  *int64     `json:"records,omitempty"`
	Calls    *int64     `json:"calls,omitempty"`
	Outcome  string     `json:"outcome"`
	Error    *string    `json:"error,omitempty"`

	// The progress that the process of the run noted last, at Seen.
	Seen           *time.Time `json:"seen_at,omitempty"`
	WindowsPlanned *int64     `json:"windows_planned,omitempty"`
	WindowsDone    *int64     `json:"windows_done,omitempty"`
	RecordsDone    *int64     `json:"records_done,omitempty"`
	CallsDone      *int64     `json:"calls_done,omitempty"`
	RefusedDone    *int64     `json:"refused_done,omitempty"`

	Clocks *string `json:"clocks,omitempty"` // what they showed, if they differed
}

//go:embed runs.sql
var selectRuns string

// Runs are the n newest runs, and all running ones whose process has noted progress
// since seenSince. Newest first.
func (s *Snapshot) Runs(ctx context.Context, n int, seenSince time.Time) ([]Run, error) {
	return pg.Collect[Run](ctx, s.tx, "runs", selectRuns, pg.Args{"most": n, "seen_since": seenSince})
}

// A LockWait is a session of an archiver that waits for a lock for long, and who holds it.
type LockWait = pg.LockWait

// LockWaits are such sessions on the server that answers.
func (s *Snapshot) LockWaits(ctx context.Context) ([]LockWait, error) {
	return pg.LockWaits(ctx, s.tx, pg.LongWait)
}
