package read

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// A Snapshot answers the questions of one page as of one moment. The cost of an
// answer grows neither with the history nor with the number of records.
type Snapshot struct{ tx pgx.Tx }

// Snapshot calls f with a snapshot. The snapshot ends when f returns.
func (a *Archive) Snapshot(ctx context.Context, f func(*Snapshot) error) (err error) {
	tx, err := a.db.Pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	defer func() {
		rolledBack := tx.Rollback(context.WithoutCancel(ctx))
		if rolledBack != nil && !errors.Is(rolledBack, pgx.ErrTxClosed) && err == nil {
			err = fmt.Errorf("end reading: %w", rolledBack)
		}
	}()
	return f(&Snapshot{tx})
}

// A Function is what is archived of one function, and what is not. Times are in
// UTC. The JSON is that of archiver status --json.
type Function struct {
	ID        int32      `json:"-"`
	SourceID  int32      `json:"-"` // the source that reads it; 0 if none is noted
	Provider  string     `json:"provider"`
	Region    string     `json:"region"`
	Project   string     `json:"-"`
	URN       string     `json:"function_urn"`
	Name      string     `json:"function_name"`
	FirstSeen time.Time  `json:"-"` // when the source first listed it
	GoneAt    *time.Time `json:"gone_at,omitempty"`
	// MissingSince is since when whole lists of the source do not name the function: it
	// is probably deleted.
	MissingSince *time.Time `json:"missing_since,omitempty"`
	// Standing is wanted, or why nothing is expected of the function: missing, gone,
	// excluded (by --functions) or ignored.
	Standing      string     `json:"standing"`
	ExcludedSince *time.Time `json:"excluded_since,omitempty"`
	IgnoredAt     *time.Time `json:"ignored_at,omitempty"`
	IgnoredBy     *string    `json:"ignored_by,omitempty"`
	IgnoredReason *string    `json:"ignored_reason,omitempty"`

	Windows  int64 `json:"windows"`  // planned
	Complete int64 `json:"complete"` // with windows that are off until CountOff
	Open     int64 `json:"open"`     // planned, and neither complete nor gone nor expired
	Short    int64 `json:"short"`
	Failed   int64 `json:"failed"`
	Stuck    int64 `json:"stuck"` // failed or short ones of which no smaller question can be asked: they wait longer each time
	Gone     int64 `json:"gone"`
	Expired  int64 `json:"expired"`
	Missed   int64 `json:"missed"` // expired ones that were missed, and that no operator has acknowledged
	Records  int64 `json:"records"`
	Pending  int64 `json:"pending"` // records in flight
	Rejected int64 `json:"rejected"`

	// From and To are the start of the first window and the end of the last.
	PlannedFrom  *time.Time `json:"-"`
	PlannedTo    *time.Time `json:"-"`
	CompleteFrom *time.Time `json:"complete_from,omitempty"`
	CompleteTo   *time.Time `json:"complete_to,omitempty"`

	OpenSince   *time.Time `json:"open_since,omitempty"`   // start of the first open window
	MissedSince *time.Time `json:"missed_since,omitempty"` // start of the first window that Missed counts
	LastError   *string    `json:"last_error,omitempty"`   // of the last open window with an error

	// Off counts windows in which the source kept no records for the whole hour.
	// Only CountOff sets Off. OffSince is set while the source keeps no records.
	Off      int64      `json:"off,omitempty" db:"-"`
	OffSince *time.Time `json:"status_log_off_since,omitempty"`

	// RestsUntil is the hour up to which run does not read this function, because
	// the function has long been empty: see archive.Order.Rest.
	RestsUntil *time.Time `json:"-"`
}

//go:embed functions.sql
var selectFunctions string

// Functions are all functions, those with open windows first, then by name.
func (s *Snapshot) Functions(ctx context.Context) ([]Function, error) {
	return pg.Collect[Function](ctx, s.tx, "the totals of functions", selectFunctions,
		pg.Args{"rest_at_most": archive.RestAtMost})
}

//go:embed off.sql
var selectOff string

// CountOff moves windows that are off from Complete to Off, and sets CompleteFrom
// and CompleteTo of their functions. It reads all windows of functions whose status
// log is off, or was.
func (s *Snapshot) CountOff(ctx context.Context, functions []Function) error {
	type functionOff struct {
		ID       int32
		Off      int64
		From, To *time.Time
	}
	counted, err := pg.Collect[functionOff](ctx, s.tx, "the windows that are off", selectOff)
	if err != nil {
		return err
	}
	of := make(map[int32]functionOff, len(counted))
	for _, c := range counted {
		of[c.ID] = c
	}
	for i := range functions {
		f := &functions[i]
		if c, ok := of[f.ID]; ok {
			f.Complete, f.Off = f.Complete-c.Off, c.Off
			f.CompleteFrom, f.CompleteTo = c.From, c.To
		}
	}
	return nil
}
