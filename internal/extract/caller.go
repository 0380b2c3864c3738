package extract

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"archiver/internal/archive"
)

// Options of a Caller.
type Options struct {
	Concurrency int               // calls under way at once
	Rate        float64           // calls a second at most; 0 for no limit of ours
	Timeout     time.Duration     // one call's limit, its answer's body included
	Budget      time.Duration     // how long a call is tried again; 0 for DefaultBudget
	Transport   http.RoundTripper // what carries the calls; nil for the shared default
	Clock       archive.Clock
	Log         *slog.Logger
}

const (
	// DefaultBudget is how long a call is tried again.
	DefaultBudget = 2 * time.Minute

	// maxTries bounds the tries of a call that fails otherwise than by being
	// throttled: a source that is down is said to be down within seconds.
	maxTries = 5

	// The pauses between tries, jittered by half: FunctionGraph asks for 2 to
	// 5 seconds after a throttled call.
	firstPause    = 500 * time.Millisecond
	firstThrottle = 2 * time.Second
	maxPause      = 30 * time.Second
)

// A Caller carries the calls of one source.
type Caller struct {
	options Options
	slots   chan struct{}
	limit   *rate.Limiter
	calls   atomic.Int64
	refused atomic.Int64
}

// NewCaller makes a Caller.
func NewCaller(o Options) *Caller {
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = max(o.Concurrency, 1)
		o.Transport = t
	}
	c := &Caller{options: o, slots: make(chan struct{}, max(o.Concurrency, 1)), limit: rate.NewLimiter(rate.Inf, 1)}
	if o.Rate > 0 {
		c.limit = rate.NewLimiter(rate.Limit(o.Rate), 1)
	}
	return c
}

// Stats are the totals so far.
func (c *Caller) Stats() archive.SourceStats {
	return archive.SourceStats{Calls: c.calls.Load(), Refused: c.refused.Load()}
}

// Do makes a call: it hands it a transport to go through, and makes it again
// where its error is worth another try, until the budget is spent. The call
// reads and closes its answer's body; an error of that is one of the call.
//
// What is not a success reaches the call as a *StatusError. Cancelling ctx
// ends the call under way at once.
func (c *Caller) Do(ctx context.Context, call func(http.RoundTripper) error) error {
	began := c.options.Clock.Now()
	pauses := newPauses()
	for try := 1; ; try++ {
		err := c.once(ctx, call)
		if err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		throttled, worth := judge(err)
		if !worth || !throttled && try >= maxTries {
			return err
		}
		pause := pauses.NextBackOff()
		var status *StatusError
		if errors.As(err, &status) {
			if throttled {
				pause = max(pause, firstThrottle)
			}
			pause = max(pause, status.RetryAfter)
		}
		if c.options.Clock.Now().Add(pause).Sub(began) > c.options.Budget {
			return fmt.Errorf("tried %d times: %w", try, err)
		}
		c.options.Log.Debug("call is tried again", "try", try, "pause", pause, "error", err)
		if err := c.options.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func newPauses() *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, maxPause
	pauses.Multiplier, pauses.RandomizationFactor = 2, 0.5
	pauses.Reset()
	return pauses
}

// once makes the call one time, in its turn.
func (c *Caller) once(ctx context.Context, call func(http.RoundTripper) error) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := c.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	return call(&bound{c, ctx})
}

// A bound transport ties requests to the context of one try: the clouds' SDKs
// take none.
type bound struct {
	caller *Caller
	ctx    context.Context
}

func (b *bound) RoundTrip(req *http.Request) (*http.Response, error) {
	b.caller.calls.Add(1)
	resp, err := b.caller.options.Transport.RoundTrip(req.WithContext(b.ctx))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		if resp.StatusCode == http.StatusTooManyRequests {
			b.caller.refused.Add(1)
		}
		return nil, newStatusError(resp, b.caller.options.Clock.Now())
	}
	return resp, nil
}

// judge tells whether a failed call is worth another try, and whether it was
// throttled. What a server says of the request itself stays true; everything
// else, a cut or unreadable answer included, may pass.
func judge(err error) (throttled, worth bool) {
	var status *StatusError
	if errors.As(err, &status) {
		switch {
		case status.Status == http.StatusTooManyRequests:
			return true, true
		case status.Status == http.StatusRequestTimeout, status.Status >= 500:
			return false, true
		}
		return false, false
	}
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var permanent *PermanentError
	if errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &permanent) {
		return false, false
	}
	return false, true
}

// A PermanentError is an error of a call that another try does not mend, such
// as a request that cannot be built.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap is the error itself.
func (e *PermanentError) Unwrap() error { return e.Err }
