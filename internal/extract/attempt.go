package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// try makes one attempt of a call, once the gate lets it start and a slot is free.
func (c *Caller) try(ctx context.Context, r *retries, call func(http.RoundTripper) error) error {
	// A function that is throttled alone takes no slot while it waits.
	passed, err := c.gate.enterOwn(ctx, r.options.Function, r.began)
	if err != nil {
		return err
	}
	if c.slots.Acquire(ctx, 1) != nil {
		c.gate.cancel(passed)
		return context.Cause(ctx)
	}
	defer c.slots.Release(1)
	passed.atOnce, r.options.atOnce = r.options.atOnce, false
	if err := c.gate.enterShared(ctx, passed); err != nil {
		c.gate.cancel(passed)
		return err
	}
	if r.options.ended() {
		c.gate.cancel(passed)
		return errEnded
	}
	// Only a call that starts takes memory: others may wait for long.
	large := r.options.Share.Large()
	if !large {
		if budget.Acquire(ctx, c.small) != nil {
			c.gate.cancel(passed)
			return context.Cause(ctx)
		}
		defer budget.Release(c.small)
	}
	started := c.options.Clock.Now()
	defer func() { r.took = c.options.Clock.Now().Sub(started) }()
	attemptCtx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	a := &attempt{caller: c, ctx: attemptCtx, large: large}
	err = call(a)
	var envelope *answer.EnvelopeError
	if errors.As(err, &envelope) && a.answer != nil {
		a.status = newEnvelopeError(a.answer, *envelope, a.redact, c.options.Clock.Now())
	}
	a.settle(outcome(ctx, a, err))
	if a.status != nil && a.status.Throttled() {
		c.gate.leave(passed, a.status, true)
	} else {
		c.gate.leave(passed, nil, a.status != nil || a.answer != nil)
	}
	switch {
	case err == nil:
		return nil
	case a.status != nil:
		return a.status
	case errors.Is(err, errLarge):
		return errLarge
	case attemptCtx.Err() != nil:
		return fmt.Errorf("no complete answer within %s (ARCHIVER_REQUEST_TIMEOUT)", c.options.Timeout)
	case a.failure != nil && a.reused.Load():
		// The other kept connections are probably closed as well.
		if t, ok := c.options.Transport.(interface{ CloseIdleConnections() }); ok {
			t.CloseIdleConnections()
		}
		return &lostConnectionError{a.failure}
	case a.failure != nil:
		return a.failure
	}
	return err
}

// A lostConnectionError says that a kept connection ended before it brought an answer. The
// source has probably closed it earlier, and has not failed.
type lostConnectionError struct{ err error }

func (e *lostConnectionError) Error() string { return e.err.Error() }

// Unwrap returns net/http's error.
func (e *lostConnectionError) Unwrap() error { return e.err }

// An attempt is the transport of one attempt of a call. The attempt adds its
// context to the requests, because the clouds' SDKs accept no context. The
// attempt also keeps the error of the last request, because the SDKs replace
// errors by their own.
type attempt struct {
	caller *Caller
	ctx    context.Context
	large  bool // the answer has the share of a large one

	// Of the last request:
	sentAt  time.Time // zero once it is settled
	redact  *strings.Replacer
	answer  *http.Response // if its status is a success
	status  *StatusError   // if its status is an error, or its envelope contains one
	failure error          // if it got no answer
	reused  atomic.Bool    // it was sent over a kept connection
}

// RoundTrip sends one request. Any status that is not 2xx is an error, also a
// redirect: a signed request must not go to another address.
func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	a.settle(OutcomeOK) // the call goes on with another request
	a.answer, a.status, a.failure = nil, nil, nil
	a.caller.calls.Add(1)
	a.sentAt = a.caller.options.Clock.Now()
	a.redact = redactor(a.ctx, req.Header)
	a.reused.Store(false)
	ctx := httptrace.WithClientTrace(a.ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { a.reused.Store(got.Reused) },
	})
	sent := time.Now() // the machine's clock is compared, not the one that pauses go by
	resp, err := a.caller.options.Transport.RoundTrip(neverReplayed(req.WithContext(ctx)))
	if err != nil {
		a.failure = archive.Redacted(err, a.redact)
		return nil, a.failure
	}
	a.caller.dated.Store(dateOf(resp.Header, sent, time.Now(), a.caller.answers.Add(1)))
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		if !a.large {
			resp.Body = &boundedBody{ReadCloser: resp.Body, left: a.caller.small}
		}
		a.answer = resp
		return resp, nil
	}
	a.status = newStatusError(resp, a.redact, a.caller.options.Clock.Now())
	return nil, a.status
}

// A dated is an answer that says what time it is at the source.
type dated struct {
	ahead  time.Duration // the source's clock of this machine's
	answer int64         // its number
}

// dateOf reads the Date of an answer. Date has whole seconds and is in GMT (RFC 9110, section
// 5.6.7). dateOf returns nil for an answer without such a Date, and for one out of a cache, whose
// Date is old (RFC 9111, section 5.1, Age).
func dateOf(h http.Header, sent, received time.Time, answer int64) *dated {
	date, err := http.ParseTime(h.Get("Date"))
	if age := h.Get("Age"); err != nil || age != "" && age != "0" {
		return nil
	}
	// An obsolete format names its zone, and net/http takes an unknown zone for GMT.
	if zone, _ := date.Zone(); zone != "UTC" && zone != "GMT" {
		return nil
	}
	return &dated{archive.Ahead(date, sent, received, time.Second), answer}
}

// neverReplayed keeps net/http from sending a request again by itself when the server has
// closed a kept connection: the source may refuse the signature, whose nonce it has seen.
// net/http sends a request again only if it has no body, or if GetBody returns its body
// once more. An empty body of unknown length is not sent.
func neverReplayed(req *http.Request) *http.Request {
	if req.Body == nil || req.Body == http.NoBody {
		switch req.Method {
		case "", http.MethodGet, http.MethodHead:
			req.Body = io.NopCloser(strings.NewReader(""))
			req.ContentLength = 0
		}
	}
	req.GetBody = nil
	return req
}

// settle takes into account how the last request ended, once.
func (a *attempt) settle(outcome string) {
	if a.sentAt.IsZero() {
		return
	}
	c := a.caller
	took := c.options.Clock.Now().Sub(a.sentAt)
	a.sentAt = time.Time{}
	if a.status != nil && a.status.Throttled() {
		c.throttled.Add(1)
		c.logThrottled(a.status)
	}
	if c.options.Observe != nil {
		c.options.Observe(outcome, took)
	}
}
