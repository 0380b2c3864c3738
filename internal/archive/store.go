package archive

import (
	"context"
	"iter"
	"time"
)

// A State says whether the records of a window are in the archive.
type State string

// The states of a window. Only StateComplete is a promise.
const (
	StatePending  State = "pending"  // known, not read
	StatePartial  State = "partial"  // begun, the next run resumes it
	StateComplete State = "complete" // every record the source gave is kept
	StateShort    State = "short"    // the source counts more records than it returns
	StateFailed   State = "failed"   // reading it ended with an error
	StateGone     State = "gone"     // the function no longer answers
	StateExpired  State = "expired"  // the source may have forgotten its records; what came is kept
)

// A Known is a function with its number in the archive.
type Known struct {
	ID int32
	Function
	LatestID  int32 // number of the function's latest version; 0 if this is the latest
	Versioned bool  // the function has several versions, which may list the same records

	FirstSeen time.Time // when the source first listed it
	// Missing is since when whole lists of the source do not name the function; zero for
	// a function that is listed. It has no new windows, and is probably deleted.
	Missing time.Time
	// Gone is since when the function is gone; zero if it is not. run and once ask it again
	// once a day, also for the windows that are gone. If it answers, it is not gone any more.
	Gone time.Time

	Ignored bool // an operator gave it up: run and once do not read it

	// MaxLife is the source's Traits.MaxLife; 0 for the constant MaxLife.
	MaxLife time.Duration
}

// An Origin says of which source a run is.
type Origin struct {
	ID   SourceID
	Name string // for people

	Retention time.Duration // how long the source keeps records
	// Ticks are the next two passes by the schedule, as of the beginning of the run; zero if
	// there is no schedule.
	Ticks [2]time.Time
}

// An Order says what a run is asked for.
type Order struct {
	AskedBy string // the command: run, once, backfill, verify
	Source  Origin // set by the archiver
	Range   Span   // windows to make complete
	Older   bool   // also read windows before Range that were begun or failed earlier
	Force   bool   // also read complete windows

	// Follow asks again for records in flight that are due, and compares the counts of
	// windows that were completed VerifyAfter ago and not verified since. VerifyAfter 0
	// compares none.
	Follow      bool
	VerifyAfter time.Duration

	// FollowRange asks once for all records in flight of Range, due or not, unless this run has
	// just read their windows.
	FollowRange bool

	// Rest asks less often for functions without records: after an eighth of the time
	// that they have been empty, and at least every RestAtMost. One call then asks for
	// all windows since the last call.
	Rest bool

	// ForgottenBefore is the time before which the source keeps no records. A window that
	// ended before this time gets no row until records of it come.
	ForgottenBefore time.Time

	// Compare compares the counts of all windows in Range. It reads no window because
	// the window is incomplete. With Repair it reads again the windows that differ.
	Compare, Repair bool
}

// Pass reports whether the run archives what is due, as run and once do.
func (o *Order) Pass() bool { return o.AskedBy == "run" || o.AskedBy == "once" }

// RestAtMost is the longest time between two calls for an empty function. A source
// keeps its records for days.
const RestAtMost = 6 * time.Hour

// A Due is a function with something to do.
type Due struct {
	Known
	Windows int       // to read
	Oldest  time.Time // the first of these windows
	Newest  time.Time // the last of these windows
	Waiting int       // windows that are stuck, and wait before they are asked for again
	// Settings says that the function's settings are due: it has windows to read, and
	// was asked for its settings at least SettingsEvery ago.
	Settings bool
}

// A Walk is the checkpoint of a walk through a span's pages.
type Walk struct {
	Span   Span
	Cursor Cursor // after the last page committed
	Seen   int    // distinct elements in the pages committed
	Count  int    // the source's count as of that page, -1 for none
}

// Work is what is due of a claimed function. All lists are ordered, oldest first.
type Work struct {
	Open    []Walk      // walks that earlier runs left open
	Windows []time.Time // the other windows to read, without those that wait
	Begun   []Begun     // of Open and Windows, those that an earlier run read in part
	Verify  []time.Time // windows to compare with the source's count
	// Complete are complete windows, from the first one that soon has to be verified.
	Complete []Complete
}

// A Begun is a window that an earlier run left partial, short or failed.
type Begun struct {
	Window  time.Time
	Held    int  // records of the archive that have a start, and rejected ones, or more if the source counted more
	Counted int  // the most that the source counted of it, if it is short or failed since; 0 if that is not known
	Refused Span // the smallest question of the window that is known to fail, in seconds; zero for none
}

// Held is what the archive holds of a window.
type Held struct {
	Records int // rejected ones included
	// Startless records count into the last window of the span in which they were found.
	// Another span may end elsewhere.
	Startless int // of Records
}

// A Refusal says why a span failed.
type Refusal struct {
	Reason string
	// Smallest is the smallest question that is known to fail, in whole seconds; zero if
	// it is not known.
	Smallest Span
	// Stuck says that no smaller question can be asked. The windows wait longer after
	// each failure before they are asked for again.
	Stuck bool
}

// A Complete is a window that is complete.
type Complete struct {
	Window  time.Time
	Records int  // rejected ones included
	Verify  bool // it was completed long enough ago to be verified by reading it again
}

// A Batch is adjacent pages of a walk, with the checkpoint after the last of them. The
// store commits a batch as a whole or not at all.
type Batch struct {
	Invocations []Invocation // no request id twice
	Rejected    []Rejected
	Walk        Walk     // as it stands after these pages
	Outcome     *Outcome // set if the walk ends here and its windows are decided
	Strays      bool     // some records start outside the query
	Pieces      []Span   // set if the walk ends here and new walks of these spans replace it
	At          time.Time
}

// An Outcome is how the walk of a span ended, for all of its windows.
type Outcome struct {
	State State
	// Counts are the source's numbers of records by window; nil if the source's numbers
	// are unknown. In a map, a missing window has no records.
	Counts map[time.Time]int
	// Expired are the windows of the span that are expired, regardless of State.
	Expired map[time.Time]Expired
	// Refusal says, with StateShort, which part of the window is short. Its Reason is
	// empty: see Err.
	Refusal Refusal
	Err     string // empty if State is StateComplete
}

// An Expired says why a window is expired.
type Expired struct {
	// Missed says that the window was due while the source still had its records. If
	// Missed is false, the window was too old when its function was first seen.
	Missed bool
	// Unproven says that the window was read whole and gave nothing, and that the source
	// has lately given no record as old. Once it gives one, the window is complete.
	Unproven bool
	// Bare says that the window gets no row unless records of it came, or it was missed.
	Bare bool
}

// Kept says what a commit did.
type Kept struct {
	Inserted, Updated, Unchanged, Rejected int // rows
	InFlight                               int // records of the batch that are in flight in the archive
}

// A Counted is how many records the archive has in [From, To], rejected ones
// included. No archived record starts in the seconds From and To, so it does not
// matter whether a source counts its borders in.
type Counted struct {
	From, To time.Time
	Records  int
	Quiet    bool // false: there are no such seconds near, From and To are the span's first and last second
	// Undated says that Records cannot be compared with the source's count: some
	// records have no start, or are in flight and may have moved since, or the
	// function has strays (see Batch).
	Undated bool
}

// A RunID numbers a run.
type RunID int64

// A Trouble is what an error of a store says about the store.
type Trouble int

const (
	// NoTrouble says that trying again does not help.
	NoTrouble Trouble = iota
	// TroubleRefused says that the store refused a transaction as a whole, for a reason that
	// passes by itself. The same call can be made again.
	TroubleRefused
	// TroubleLost says that the answer of the store was lost, or that the store may lack what
	// it has confirmed before. What it has is to be read again.
	TroubleLost
)

// A Store keeps functions, windows, invocations and runs.
type Store interface {
	// Trouble says what an error of the store or of a claim says. An error of another
	// origin is no trouble of the store.
	Trouble(err error) Trouble
	// Server returns which server answers, and since when. If it is another one than
	// before, the store may lack what the one before had confirmed.
	Server(ctx context.Context) (string, error)

	BeginRun(ctx context.Context, o Order, at time.Time) (RunID, error)
	// NoteRun writes the progress of a run.
	NoteRun(ctx context.Context, id RunID, n Noted, at time.Time) error
	EndRun(ctx context.Context, id RunID, s Summary, err error, at time.Time) error

	// Learned returns what was learned of the source since a time.
	Learned(ctx context.Context, source SourceID, since time.Time) ([]Learned, error)
	// Learn keeps what was learned of the source. It replaces what has the same What,
	// Function and, for LearnedCount, Value.
	Learn(ctx context.Context, source SourceID, learned []Learned) error
	// Prove makes windows complete that are expired and unproven: those of the source
	// that began at most age before they were read, and those that ended at most age
	// before, if no earlier window is unproven. It returns how many.
	Prove(ctx context.Context, source SourceID, age time.Duration) (int, error)

	// ResetFuture resets what runs of the source have written while their clock was ahead.
	// now must be right: by a clock that is behind, all would be reset that is right.
	// A planned window that has not ended becomes pending, and is not planned; a walk into it
	// is forgotten. A window that was completed, or expired, more than limit after now becomes
	// partial, and its count stays known; unless it was verified since, or acknowledged. What is noted of
	// functions, and was learned, more than a day after now is noted earlier, or forgotten.
	ResetFuture(ctx context.Context, source SourceID, now time.Time, limit time.Duration) error

	// EndList notes whether the list of functions that began at this time was whole:
	// e is nil if it was. Functions that a whole list does not name are missing from
	// then on.
	EndList(ctx context.Context, source SourceID, e *ListError, at time.Time) error
	// Exclude notes that the source of a pass reads some functions of its account, and leaves
	// out others: all versions but the latest, if it does not read versions. A function that
	// another source reads is not left out.
	Exclude(ctx context.Context, run RunID, excluded, read []int32, versions bool, at time.Time) error
	// SeeFunctions notes that the source listed the functions at this time. A function that
	// was gone stays gone, unless an earlier list was without it.
	SeeFunctions(ctx context.Context, source SourceID, functions []Function, at time.Time) ([]Known, error)
	// UnseenFunctions returns the source's functions that were last listed before this
	// time: the source may have deleted them. Of functions that are gone, it returns those
	// that were asked for the last time at least a day ago, and are gone for less than the
	// retention of the source. It returns only latest versions.
	UnseenFunctions(ctx context.Context, source SourceID, before time.Time, retention time.Duration) ([]Known, error)

	// Due returns the functions that have something to do, ordered by their oldest
	// window.
	Due(ctx context.Context, functions []Known, o Order, at time.Time) ([]Due, error)
	// Plan inserts the due windows as pending, so that the status shows windows that a
	// run did not reach.
	Plan(ctx context.Context, due []Due, o Order) error
	// Claim gives the function to this worker alone. It returns ErrClaimed if another
	// worker has it.
	Claim(ctx context.Context, function Known) (Claim, error)
}

// A Claim is one worker's hold on one function. Windows and records of the
// function are written through its claim only; lists of functions, versions and
// planned windows are written through the Store. A claim lasts for ClaimLife
// after the last method that writes. Once another worker has taken the function
// over, the methods that write return ErrClaimLost and write nothing.
type Claim interface {
	Work(ctx context.Context, o Order, at time.Time) (Work, error)
	// Archived yields the request ids that the archive holds of the function, from one
	// second before the span to one second after it.
	Archived(ctx context.Context, s Span) iter.Seq2[string, error]
	Commit(ctx context.Context, b Batch) (Kept, error)
	// Fail notes that reading a span ended with an error. Complete and expired windows
	// stay as they are: failed is the number of the others. If there are others, a walk
	// that has begun stays open for the next run.
	Fail(ctx context.Context, s Span, r Refusal, at time.Time) (failed int, err error)
	// Gone notes that the source does not know the function any more, and that the
	// windows of the spans still due are gone.
	Gone(ctx context.Context, due []Span, at time.Time) error

	// InFlight returns the records in flight that the order asks for again at a time, ordered
	// by window.
	InFlight(ctx context.Context, o Order, at time.Time) ([]InFlightRecord, error)
	// Follow commits the records that the source gave for one record in flight.
	Follow(ctx context.Context, r InFlightRecord, found []Invocation, rejected []Rejected, at time.Time) (Kept, error)
	// Rechecked notes that the records in flight of these windows were asked for. Records
	// that have outlived the longest life are given up, and not asked for any more: givenUp
	// is how many.
	Rechecked(ctx context.Context, windows []time.Time, at time.Time) (givenUp int, err error)

	// Count counts the archive's records of the span, and says which query of the source
	// counts the same records. It counts the rows, or adds up the counts kept in the
	// windows, which costs less.
	Count(ctx context.Context, s Span, byRows bool) (Counted, error)
	// Held returns what the archive holds of each of these windows, as of the last commit.
	Held(ctx context.Context, windows []time.Time) (map[time.Time]Held, error)
	// Recount counts the rows of the span's windows again, in case another program has
	// changed rows.
	Recount(ctx context.Context, s Span) error
	// Missing returns how many records of a page of the span are not in the archive.
	Missing(ctx context.Context, s Span, page []Invocation) (int, error)
	// Verified notes that the span's complete windows were verified.
	Verified(ctx context.Context, s Span, at time.Time) error
	// Differs notes that the source counts more of a window than the archive
	// has: it is not complete any more.
	Differs(ctx context.Context, window time.Time, d *ShortError) error

	// SettingsAsked returns when the function's settings were last asked for; zero for
	// never.
	SettingsAsked(ctx context.Context) (time.Time, error)
	// KeepSettings stores the settings that the source gave at this time.
	KeepSettings(ctx context.Context, s FunctionSettings, at time.Time) error

	Renew(ctx context.Context) error
	Release(ctx context.Context) error
}

// ClaimLife is how long a claim lasts without a write or a renewal. Another worker can
// claim the function of a killed process after this time.
const ClaimLife = 45 * time.Second
