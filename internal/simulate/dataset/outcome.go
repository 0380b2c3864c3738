package dataset

import "slices"

// Outcome is a state that an invocation can be in.
type Outcome struct {
	Status  Status
	Code    int // 0 for none
	Message string
}

// Waiting and Running are the states before an invocation ends, Succeeded is the
// end of most.
var (
	Waiting   = &Outcome{Status: StatusWait}
	Running   = &Outcome{Status: StatusRunning}
	Succeeded = &Outcome{Status: StatusSuccess}
)

// Indices into outcomes; the failures lie between firstFailure and the end.
const (
	outcomeSuccess = iota
	outcomeDiscard
	firstFailure
)

// outcomes are the ways in which an invocation ends. The API's pages list no
// codes, so the codes are guesses. The messages include quotes, line breaks and
// letters beyond ASCII, as functions return them.
var outcomes = []*Outcome{
	Succeeded,
	{Status: StatusDiscard, Code: 4203, Message: "the message has exceeded its maximum validity period"},
	{Status: StatusFail, Code: 4101, Message: "function invocation timed out"},
	{Status: StatusFail, Code: 4201, Message: "runtime exited: exit status 1"},
	{Status: StatusFail, Code: 4202, Message: `{"errorMessage":"division by zero","errorType":"ZeroDivisionError"}`},
	{Status: StatusFail, Code: 4205, Message: "Traceback (most recent call last):\n  File \"index.py\", line 12, in handler\nKeyError: 'order_id'"},
	{Status: StatusFail, Code: 429, Message: "the function has reached its concurrency limit"},
	{Status: StatusFail, Code: 500, Message: "internal error"},
	{Status: StatusFail, Code: 502, Message: "函数执行失败: connection refused"},
	{Status: StatusFail, Code: 504, Message: "upstream did not answer in time"},
}

// Outcomes are all states that an invocation can be in.
func Outcomes() []*Outcome { return slices.Concat([]*Outcome{Waiting, Running}, outcomes) }

// State is how a record is shown at a moment: its outcome, and its times in
// seconds since the epoch.
type State struct {
	*Outcome
	Start, End       int64
	Started, Settled bool // whether the API shows Start and End
}

// State is how the record is shown as of now.
func (h Hit) State(now int64) State {
	s := State{Start: h.day.midnight() + h.start()}
	s.End = s.Start + h.duration()
	s.Started, s.Settled = s.Start <= now, s.End <= now
	switch {
	case !s.Started:
		s.Outcome = Waiting
	case !s.Settled:
		s.Outcome = Running
	default:
		s.Outcome = h.Outcome()
	}
	return s
}
