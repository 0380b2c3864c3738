package extract

import (
	"context"
	"errors"
)

// A Call says what Do has to know of a call. The zero Call is of the source itself.
type Call struct {
	Function string // the function that it concerns, under any name; may be empty
	// Tries is how often the call is made at most; 0 for the Caller's own number. Throttled
	// attempts do not count. The pauses between the attempts are at most half a second.
	Tries int
	// Ended, if set, is closed when no attempt may begin any more.
	Ended  <-chan struct{}
	atOnce bool // the first attempt does not wait for the source's pace
	Login  bool // a 401 is final: wrong passwords that come again lock a user out
	// Share keeps the share of a large answer until the caller releases it; nil if the share
	// may end with the call.
	Share *Share
	Early bool // another call of the caller comes first: the error of a large answer is ErrEarly
}

// errEnded is the error of a call that did not begin before Ended.
var errEnded = errors.New("the run has ended")

func (c *Call) ended() bool {
	select {
	case <-c.Ended:
		return true
	default:
		return false // also if Ended is not set
	}
}

type callKey struct{}

// WithCall returns a context for Do.
func WithCall(ctx context.Context, call Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

func callOf(ctx context.Context) Call {
	call, _ := ctx.Value(callKey{}).(Call)
	return call
}
