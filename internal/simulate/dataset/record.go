package dataset

import (
	"slices"
	"time"
)

// Status is the state of an invocation, in the API's own words
// (page: Querying Asynchronous Invocation Requests).
type Status string

// The five statuses that the API knows.
const (
	StatusWait    Status = "WAIT"
	StatusRunning Status = "RUNNING"
	StatusSuccess Status = "SUCCESS"
	StatusFail    Status = "FAIL"
	StatusDiscard Status = "DISCARD"
)

// Valid reports whether the API knows the status.
func (s Status) Valid() bool {
	return slices.Contains([]Status{StatusWait, StatusRunning, StatusSuccess, StatusFail, StatusDiscard}, s)
}

// Record is one invocation as the API would show it. Start and End are in UTC.
// They are whole seconds unless a fault adds a fraction. Start is zero while the
// invocation waits, End until it ends. Extra is empty, or a JSON object of fields
// that the API's pages do not name; only a fault adds such fields.
type Record struct {
	RequestID    string
	Status       Status
	ErrorCode    int
	ErrorMessage string
	Start, End   time.Time
	Extra        string
}

// packed is a record in eight bytes, highest bits first: its start in seconds of
// its day, its duration and its wait before the start in seconds, and the index
// of its outcome. With the start on top, sorting packed values sorts by start.
type packed uint64

const (
	startShift    = 40
	durationShift = 16
	waitShift     = 8

	secondsPerDay = 24 * 60 * 60
	// MaxDuration is the longest timeout a function can have, in seconds
	// (SDK model ListFunctionResult.Timeout).
	MaxDuration = 259_200
	// maxWait bounds how long an invocation waits in the queue, in seconds.
	maxWait = 15
)

func pack(start, duration, wait, outcome int) packed {
	return packed(start)<<startShift |
		packed(min(duration, MaxDuration))<<durationShift |
		packed(wait)<<waitShift |
		packed(outcome)
}

func (p packed) start() int64    { return int64(p >> startShift) }
func (p packed) duration() int64 { return int64(p >> durationShift & 0xffffff) }

// Outcome is how the record ends.
func (p packed) Outcome() *Outcome { return outcomes[p&0xff] }

// Wait is how long the record waits before its start, in seconds.
func (p packed) Wait() int64 { return int64(p >> waitShift & 0xff) }
