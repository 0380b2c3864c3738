package extract

import (
	"context"
	"net/http"
	"time"
)

// What a call came to.
const (
	OutcomeOK          = "ok"
	OutcomeThrottled   = "throttled"    // answered with "too many"
	OutcomeDenied      = "denied"       // 401, 403
	OutcomeNotFound    = "not_found"    // 404
	OutcomeRefused     = "refused"      // another answer that says the request is wrong
	OutcomeServerError = "server_error" // 5xx
	OutcomeTimeout     = "timeout"      // no whole answer in time
	OutcomeNetwork     = "network"      // no answer at all
	OutcomeUnreadable  = "unreadable"   // an answer that is cut, or not what the API says
	OutcomeCanceled    = "canceled"     // ended by us
)

// Outcomes are all there are.
var Outcomes = []string{
	OutcomeOK, OutcomeThrottled, OutcomeDenied, OutcomeNotFound, OutcomeRefused, OutcomeServerError,
	OutcomeTimeout, OutcomeNetwork, OutcomeUnreadable, OutcomeCanceled,
}

// outcome is what one try of a call came to, where ctx is that of all tries.
func outcome(ctx context.Context, b *bound, err error) string {
	switch {
	case err == nil:
		return OutcomeOK
	case b.refusal != nil:
		return b.refusal.outcome()
	case ctx.Err() != nil:
		return OutcomeCanceled
	case b.ctx.Err() != nil:
		return OutcomeTimeout
	case b.failed != nil:
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

// observe tells of the last request, once.
func (b *bound) observe(outcome string) {
	if b.sent.IsZero() {
		return
	}
	took := b.caller.options.Clock.Now().Sub(b.sent)
	b.sent = time.Time{}
	if b.caller.options.Observe != nil {
		b.caller.options.Observe(outcome, took)
	}
}
