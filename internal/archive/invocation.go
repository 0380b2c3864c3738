package archive

import "time"

// The statuses of an invocation. A word of the source that has no such status is kept
// unchanged, and counts as settled.
const (
	StatusWait    = "WAIT"
	StatusRunning = "RUNNING"
	StatusSuccess = "SUCCESS"
	StatusFail    = "FAIL"
	StatusDiscard = "DISCARD"
)

// MaxRequestID is the length in characters of the longest request id that a row holds:
// the limit of the API's own request_id parameter (vendor's page "Querying
// Asynchronous Invocation Requests").
const MaxRequestID = 64

// An Invocation is one record of a source, parsed and ready to be kept. Its
// texts are valid UTF-8 without NUL.
type Invocation struct {
	RequestID    string    // never empty, at most MaxRequestID characters
	Status       string    // one of the five statuses, or the source's own word
	SourceStatus string    // the source's own word; empty where it is Status
	ErrorCode    string    // empty for none
	ErrorMessage string    // empty for none
	Start        time.Time // UTC; zero where the source gives none
	End          time.Time // UTC; zero where the source gives none
	Extra        []byte    // a JSON object of the fields no column takes; nil for none
}

// InFlight reports whether the invocation may still change by itself.
func (i *Invocation) InFlight() bool { return InFlight(i.Status) }

// InFlight reports whether an invocation with this status will settle later.
func InFlight(status string) bool { return status == StatusWait || status == StatusRunning }

// A Rejected is an element of a page that no row can hold.
type Rejected struct {
	Reason  string
	Start   time.Time // zero if the element has no readable start
	Payload []byte    // the element as the source sent it
}

// Distinct keeps one record for each request id, in its latest state. It works in
// place.
func Distinct(page []Invocation) []Invocation {
	at := make(map[string]int, len(page))
	kept := page[:0]
	for _, inv := range page {
		i, ok := at[inv.RequestID]
		switch {
		case !ok:
			at[inv.RequestID] = len(kept)
			kept = append(kept, inv)
		case inv.later(&kept[i]):
			kept[i] = inv
		}
	}
	return kept
}

// later reports whether i is a later state of the same request than o. SUCCESS, FAIL
// and other settled statuses are later than RUNNING, and RUNNING is later than WAIT.
// In the same status, the later end decides, then the later start.
func (i *Invocation) later(o *Invocation) bool {
	if a, b := i.stage(), o.stage(); a != b {
		return a > b
	}
	if !i.End.Equal(o.End) {
		return i.End.After(o.End)
	}
	return i.Start.After(o.Start)
}

func (i *Invocation) stage() int {
	switch i.Status {
	case StatusWait:
		return 0
	case StatusRunning:
		return 1
	default:
		return 2
	}
}
