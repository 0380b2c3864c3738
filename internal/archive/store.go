package archive

import (
	"context"
	"iter"
	"time"
)

// A State is what is known of a window.
type State string

// The states of a window. Only StateComplete is a promise.
const (
	StatePending  State = "pending"  // known, not read
	StatePartial  State = "partial"  // begun, resumes
	StateComplete State = "complete" // every record the source gave is kept
	StateShort    State = "short"    // the source counts more than it gives
	StateFailed   State = "failed"   // reading it ended with an error
	StateGone     State = "gone"     // the function no longer answers
)

// A Known is a function with its number in the archive.
type Known struct {
	ID int32
	Function
	LatestID  int32 // of a version other than the latest: the number of the latest; else 0
	Versioned bool  // it is one of several versions, which may list the same records
}

// An Order says what a run is asked for.
type Order struct {
	AskedBy string // the command: run, once, backfill, verify
	Range   Span   // windows to make complete
	Older   bool   // and windows before Range that were begun or failed earlier
	Force   bool   // complete windows as well

	// Follow asks for records in flight whose time has come, and for counts of
	// windows that were completed VerifyAfter ago and not verified since (0:
	// of none).
	Follow      bool
	VerifyAfter time.Duration

	// Rest leaves functions alone that have been empty for long: for an eighth of
	// that time, and at most RestAtMost. Then one call asks for all windows since.
	Rest bool

	// Compare reads nothing because it is not complete: it compares the counts
	// of all windows in Range, and with Repair reads again what differs.
	Compare, Repair bool
}

// RestAtMost is how long an empty function is left alone at most. A source keeps
// its records for days.
const RestAtMost = 6 * time.Hour

// A Due is a function with something to do.
type Due struct {
	Known
	Windows int       // to read
	Oldest  time.Time // the first of them
	// Settings says that windows are read and the function's settings have not
	// been asked for since SettingsEvery.
	Settings bool
}

// A Walk is a way through a span's pages that a commit has left open.
type Walk struct {
	Span   Span
	Cursor Cursor // after the last page committed
	Seen   int    // distinct elements in the pages committed
	Count  int    // the source's count as of that page, -1 for none
}

// Work is what a claimed function has to do: the walks left open by earlier
// runs, and the other windows that are due, oldest first.
type Work struct {
	Open    []Walk
	Windows []time.Time
	Verify  []time.Time // to be compared with the source's count
	// Complete are windows that are complete, oldest first, from the first that
	// is not verified and soon has to be.
	Complete []Complete
}

// A Complete is a window that is complete.
type Complete struct {
	Window  time.Time
	Records int  // rejected ones included
	Verify  bool // it was completed long enough ago to be verified by reading it again
}

// A Batch is some pages of a walk, one after the other, with the checkpoint
// after the last of them. All of it is kept or nothing is.
type Batch struct {
	Invocations []Invocation // no request id twice
	Rejected    []Rejected
	Walk        Walk     // as it stands after these pages
	Outcome     *Outcome // set where the walk ends here: it is closed, its windows decided
	Strays      bool     // some records' start is not within what was asked for
	Pieces      []Span   // set where the walk ends here in favour of walks of these, none begun
	At          time.Time
}

// An Outcome is how the walk of a span ended, for all of its windows.
type Outcome struct {
	State State
	// Counts are the source's numbers of records a window, by its start; nil
	// where they are not known a window. A window that is not in a map that is
	// not nil has none.
	Counts map[time.Time]int
	Err    string // for states other than complete
}

// Kept says what a commit did.
type Kept struct {
	Inserted, Updated, Unchanged, Rejected int // rows
	InFlight                               int // of the batch, as kept
}

// A Counted is how many records the archive has in [From, To], rejected ones
// included. No archived record starts in the seconds From and To, so it does not
// matter whether a source counts its borders in.
type Counted struct {
	From, To time.Time
	Records  int
	Quiet    bool // false: no such seconds were found near, From and To are the span's own
	// Undated says that the source's count of the same is not of these records:
	// some have no start, or are in flight and may have moved since, or the
	// function has strays (see Batch).
	Undated bool
}

// A RunID numbers a run.
type RunID int64

// A Store keeps functions, windows, invocations and runs.
type Store interface {
	BeginRun(ctx context.Context, o Order, at time.Time) (RunID, error)
	// NoteRun notes how far a run has come.
	NoteRun(ctx context.Context, id RunID, n Noted, at time.Time) error
	EndRun(ctx context.Context, id RunID, s Summary, err error, at time.Time) error

	// SeeFunctions notes that the source listed the functions at this time.
	SeeFunctions(ctx context.Context, source SourceID, functions []Function, at time.Time) ([]Known, error)
	// UnseenFunctions are the source's functions that are not gone and were last
	// listed before this time: the source may have deleted them. Versions other
	// than the latest are not among them.
	UnseenFunctions(ctx context.Context, source SourceID, before time.Time) ([]Known, error)

	// Due picks the functions that have something to do, those with the oldest
	// windows first.
	Due(ctx context.Context, functions []Known, o Order, at time.Time) ([]Due, error)
	// Plan notes the windows that are due as known, so that windows which a run
	// did not reach can be shown.
	Plan(ctx context.Context, due []Due, o Order) error
	// Claim gives the function to this worker alone, or answers ErrClaimed.
	Claim(ctx context.Context, function Known) (Claim, error)
}

// A Claim is one worker's hold on one function. Windows and records of the
// function are written through its claim only; lists of functions, versions and
// planned windows are written through the Store. A claim lasts for ClaimLife
// after the last method that writes. Once another worker has taken the function
// over, the methods that write return ErrClaimLost and write nothing.
type Claim interface {
	Work(ctx context.Context, o Order, at time.Time) (Work, error)
	// Archived are the request ids that the archive holds of the function from
	// one second before the span to one second after it.
	Archived(ctx context.Context, s Span) iter.Seq2[string, error]
	Commit(ctx context.Context, b Batch) (Kept, error)
	// Fail notes that reading a span ended with an error. Its walk, where it
	// has begun, stays open for the next run.
	Fail(ctx context.Context, s Span, reason string, at time.Time) error
	// Gone notes that the source does not know the function any more, nor then
	// the spans still due.
	Gone(ctx context.Context, due []Span, at time.Time) error

	// InFlight are the records in flight that are to be asked for by now, those
	// of the oldest windows first.
	InFlight(ctx context.Context, at time.Time) ([]InFlightRecord, error)
	// Follow keeps what the source gave when asked for one of them.
	Follow(ctx context.Context, r InFlightRecord, found []Invocation, rejected []Rejected, at time.Time) (Kept, error)
	// Rechecked notes that what is in flight in these windows was asked for.
	Rechecked(ctx context.Context, windows []time.Time, at time.Time) error

	// Count is what the archive has of the span, as a query to compare with
	// the source's count of the same: by the rows themselves, or by what the
	// windows say of them, which costs less.
	Count(ctx context.Context, s Span, byRows bool) (Counted, error)
	// Recount makes what the windows say of their rows true where somebody
	// else changed these.
	Recount(ctx context.Context, s Span) error
	// Missing is how many of a page of the span the archive does not have.
	Missing(ctx context.Context, s Span, page []Invocation) (int, error)
	// Verified notes that the span's complete windows were verified.
	Verified(ctx context.Context, s Span, at time.Time) error
	// Differs notes that the source counts more of a window than the archive
	// has: it is not complete any more.
	Differs(ctx context.Context, window time.Time, d *ShortError) error

	// SettingsAsked is when the function's settings were asked for last, zero
	// for never.
	SettingsAsked(ctx context.Context) (time.Time, error)
	// KeepSettings keeps what the source said of them at this time.
	KeepSettings(ctx context.Context, s FunctionSettings, at time.Time) error

	Renew(ctx context.Context) error
	Release(ctx context.Context) error
}

// ClaimLife is how long a function stays with a worker that has gone silent:
// killed work is taken over within this time.
const ClaimLife = 45 * time.Second
