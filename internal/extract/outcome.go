package extract

import (
	"context"
	"errors"
	"net/http"
)

// The outcomes of a request.
const (
	OutcomeOK          = "ok"
	OutcomeThrottled   = "throttled"    // the source answered "too many calls"
	OutcomeDenied      = "denied"       // 401, 403
	OutcomeNotFound    = "not_found"    // 404
	OutcomeRefused     = "refused"      // any other status below 500
	OutcomeServerError = "server_error" // 5xx
	OutcomeTimeout     = "timeout"      // no complete answer in time
	OutcomeNetwork     = "network"      // no answer
	OutcomeUnreadable  = "unreadable"   // the answer is cut, or is not what the API documents
	OutcomeCanceled    = "canceled"     // the archiver ended the call
)

// Outcomes lists all outcomes.
var Outcomes = []string{
	OutcomeOK, OutcomeThrottled, OutcomeDenied, OutcomeNotFound, OutcomeRefused, OutcomeServerError,
	OutcomeTimeout, OutcomeNetwork, OutcomeUnreadable, OutcomeCanceled,
}

// outcome is the outcome of an attempt's last request; ctx is the context of the
// whole call.
func outcome(ctx context.Context, a *attempt, err error) string {
	switch {
	case err == nil:
		return OutcomeOK
	case a.status != nil:
		return a.status.outcome()
	case ctx.Err() != nil, errors.Is(err, errLarge):
		return OutcomeCanceled
	case a.ctx.Err() != nil:
		return OutcomeTimeout
	case a.failure != nil:
		return OutcomeNetwork
	default:
		return OutcomeUnreadable
	}
}

func (e *StatusError) outcome() string {
	switch {
	case e.Throttled():
		return OutcomeThrottled
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return OutcomeDenied
	case e.Status == http.StatusNotFound:
		return OutcomeNotFound
	case e.Status >= 500:
		return OutcomeServerError
	default:
		return OutcomeRefused
	}
}
