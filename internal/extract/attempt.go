package extract

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// try makes one attempt of a call, once a slot is free and the limiter allows it.
func (c *Caller) try(ctx context.Context, call func(http.RoundTripper) error) error {
	if c.slots.Acquire(ctx, 1) != nil {
		return context.Cause(ctx)
	}
	defer c.slots.Release(1)
	if err := c.limiter.wait(ctx); err != nil {
		return err
	}
	attemptCtx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	a := &attempt{caller: c, ctx: attemptCtx}
	err := call(a)
	a.observe(outcome(ctx, a, err))
	switch {
	case err == nil:
		return nil
	case a.status != nil:
		return a.status
	case attemptCtx.Err() != nil:
		return fmt.Errorf("no complete answer within %s (ARCHIVER_REQUEST_TIMEOUT)", c.options.Timeout)
	case a.failure != nil:
		return a.failure
	}
	return err
}

// An attempt is the transport of one attempt of a call. The attempt adds its
// context to the requests, because the clouds' SDKs accept no context. The
// attempt also keeps the error of the last request, because the SDKs replace
// errors by their own.
type attempt struct {
	caller  *Caller
	ctx     context.Context
	status  *StatusError // of the last request, if its status is an error
	failure error        // of the last request, if it got no answer
	sentAt  time.Time    // of the last request; zero once it is observed
}

// RoundTrip sends one request. Any status that is not 2xx is an error, also a
// redirect: a signed request must not go to another address.
func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	a.observe(OutcomeOK) // the call goes on with another request
	a.status, a.failure = nil, nil
	a.caller.calls.Add(1)
	a.sentAt = a.caller.options.Clock.Now()
	redact := redactor(a.ctx, req.Header)
	resp, err := a.caller.options.Transport.RoundTrip(req.WithContext(a.ctx))
	if err != nil {
		a.failure = redacted(err, redact)
		return nil, a.failure
	}
	a.caller.answered.Store(true)
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		a.caller.limiter.accepted()
		return resp, nil
	}
	a.status = newStatusError(resp, redact, a.caller.options.Clock.Now())
	if a.status.Throttled() {
		a.caller.throttled.Add(1)
		a.caller.limiter.throttled(a.status.RetryAfter)
		a.caller.logThrottled(a.status)
	} else {
		a.caller.limiter.accepted()
	}
	return nil, a.status
}

// observe reports the last request to Options.Observe, once.
func (a *attempt) observe(outcome string) {
	if a.sentAt.IsZero() {
		return
	}
	took := a.caller.options.Clock.Now().Sub(a.sentAt)
	a.sentAt = time.Time{}
	if a.caller.options.Observe != nil {
		a.caller.options.Observe(outcome, took)
	}
}
