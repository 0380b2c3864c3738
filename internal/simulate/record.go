package simulate

import (
	"encoding/json"
	"strconv"
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

func (s Status) valid() bool {
	switch s {
	case StatusWait, StatusRunning, StatusSuccess, StatusFail, StatusDiscard:
		return true
	}
	return false
}

// Record is one invocation as the API would show it. Start and End are whole
// seconds in UTC, but for a fault; Start is zero while the invocation waits, End
// until it ends. Extra is a JSON object of fields that no page names, or empty;
// only a fault adds some.
type Record struct {
	RequestID    string
	Status       Status
	ErrorCode    int
	ErrorMessage string
	Start, End   time.Time
	Extra        string
}

// packed is a record in eight bytes, highest bits first: the start in seconds
// of its day, the duration and the wait before the start in seconds, and the
// index of its outcome. With the start on top, sorting packed values sorts by
// start.
type packed uint64

const (
	startShift    = 40
	durationShift = 16
	waitShift     = 8

	secondsPerDay = 24 * 60 * 60
	// maxDuration is the longest timeout a function can have, in seconds
	// (SDK model ListFunctionResult.Timeout).
	maxDuration = 259_200
	// maxWait bounds how long an invocation waits in the queue, in seconds.
	maxWait = 15
)

func pack(start, duration, wait, outcome int) packed {
	return packed(start)<<startShift |
		packed(min(duration, maxDuration))<<durationShift |
		packed(wait)<<waitShift |
		packed(outcome)
}

func (p packed) start() int64    { return int64(p >> startShift) }
func (p packed) duration() int64 { return int64(p >> durationShift & 0xffffff) }
func (p packed) wait() int64     { return int64(p >> waitShift & 0xff) }

// outcome is a state an invocation can be in. head and tail are the parts of
// its JSON object before and after the times, rendered once.
type outcome struct {
	status     Status
	code       int
	message    string
	head, tail string
}

// Indices into outcomes; the failures lie between firstFailure and the end.
const (
	outcomeSuccess = iota
	outcomeDiscard
	firstFailure
)

// outcomes has an error code and message for every way to end. The pages list
// no codes, so these are plausible ones; the messages include quotes, line
// breaks and letters beyond ASCII, as functions return them.
var outcomes = render(
	outcome{status: StatusSuccess},
	outcome{status: StatusDiscard, code: 4203, message: "the message has exceeded its maximum validity period"},
	outcome{status: StatusFail, code: 4101, message: "function invocation timed out"},
	outcome{status: StatusFail, code: 4201, message: "runtime exited: exit status 1"},
	outcome{status: StatusFail, code: 4202, message: `{"errorMessage":"division by zero","errorType":"ZeroDivisionError"}`},
	outcome{status: StatusFail, code: 4205, message: "Traceback (most recent call last):\n  File \"index.py\", line 12, in handler\nKeyError: 'order_id'"},
	outcome{status: StatusFail, code: 429, message: "the function has reached its concurrency limit"},
	outcome{status: StatusFail, code: 500, message: "internal error"},
	outcome{status: StatusFail, code: 502, message: "函数执行失败: connection refused"},
	outcome{status: StatusFail, code: 504, message: "upstream did not answer in time"},
)

// unfinished are the two states before an end; they carry no error.
var unfinished = render(outcome{status: StatusWait}, outcome{status: StatusRunning})

func render(list ...outcome) []outcome {
	for i, o := range list {
		list[i].head = `","status":"` + string(o.status) + `","error_message":` + quote(o.message)
		list[i].tail = `,"error_code":` + strconv.Itoa(o.code) + `}`
	}
	return list
}

// quote returns s as a JSON string; json.Marshal of a string cannot fail.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// state is how the record stands at a moment: its outcome, with the times that
// the API shows by then (in seconds since the epoch).
type state struct {
	*outcome
	start, end       int64
	started, settled bool
}

func (p packed) at(midnight, now int64) state {
	s := state{start: midnight + p.start()}
	s.end = s.start + p.duration()
	s.started, s.settled = s.start <= now, s.end <= now
	switch {
	case !s.started:
		s.outcome = &unfinished[0]
	case !s.settled:
		s.outcome = &unfinished[1]
	default:
		s.outcome = &outcomes[p&0xff]
	}
	return s
}
