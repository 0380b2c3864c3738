package extract

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"archiver/internal/archive"
)

// Options of a Caller. What is left out has a default.
type Options struct {
	Concurrency int               // calls under way at once; default 1
	Rate        float64           // calls a second at most; 0 for as many as the source allows
	Timeout     time.Duration     // one try's limit, its answer's body included; default DefaultTimeout
	Budget      time.Duration     // how long a call is tried again; default DefaultBudget
	Transport   http.RoundTripper // what carries the calls; default one of the Caller's own
	Clock       archive.Clock     // default archive.SystemClock
	Log         *slog.Logger      // default none
}

const (
	// DefaultTimeout is one try's limit.
	DefaultTimeout = 30 * time.Second

	// DefaultBudget is how long a call is tried again.
	DefaultBudget = 2 * time.Minute

	// The tries of a call that fails otherwise than by being throttled: half a
	// minute of them, but a source that has never answered is said to be down
	// within seconds.
	maxTries      = 7
	maxFirstTries = 5

	// The pauses between tries, jittered by half. A throttled call waits 2
	// seconds at least: FunctionGraph asks for 2 to 5.
	firstPause    = 500 * time.Millisecond
	firstThrottle = 2 * time.Second
	maxPause      = 30 * time.Second

	// throttleQuiet is how long no call is refused until refusals are said anew.
	throttleQuiet = 5 * time.Minute
)

// A Caller carries the calls of one source. It slows down where the source
// refuses calls as too many, and comes back to its rate.
type Caller struct {
	options  Options
	slots    chan struct{}
	pace     *pace
	calls    atomic.Int64
	refused  atomic.Int64
	answered atomic.Bool

	throttledMu sync.Mutex
	throttled   time.Time // the last time
}

// NewCaller makes a Caller.
func NewCaller(o Options) *Caller {
	o.Concurrency = max(o.Concurrency, 1)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Budget = cmp.Or(o.Budget, DefaultBudget)
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = o.Concurrency
		o.Transport = t
	}
	if o.Clock == nil {
		o.Clock = archive.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Caller{options: o, slots: make(chan struct{}, o.Concurrency), pace: newPace(o.Clock, o.Rate)}
}

// Stats are the totals so far.
func (c *Caller) Stats() archive.SourceStats {
	return archive.SourceStats{Calls: c.calls.Load(), Refused: c.refused.Load()}
}

// Clock is what times the calls.
func (c *Caller) Clock() archive.Clock { return c.options.Clock }

// Answered reports whether the source has ever answered, be it with an error.
func (c *Caller) Answered() bool { return c.answered.Load() }

// Do makes a call: it hands it a transport to go through, and makes it again
// where its error is worth another try, until the budget is spent. The call
// reads and closes its answer's body; an error of that is one of the call.
//
// What is not a success is returned as a *StatusError, whatever the call made
// of it. Cancelling ctx ends the call under way at once, and the error is then
// the context's cause.
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
		most := maxTries
		if !c.Answered() {
			most = maxFirstTries
		}
		if !worth || !throttled && try >= most {
			return after(try, err)
		}
		pause := pauseAfter(err, throttled, pauses.NextBackOff())
		if c.options.Clock.Now().Add(pause).Sub(began) > c.options.Budget {
			return after(try, err)
		}
		c.options.Log.Debug("call is tried again", append([]any{"try", try, "seconds", pause.Seconds()}, archive.ErrorKeys(err)...)...)
		if err := c.options.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// sayThrottled says so when the source begins to refuse calls, and not for each
// of them.
func (c *Caller) sayThrottled(refused *StatusError) {
	now := c.options.Clock.Now()
	c.throttledMu.Lock()
	begins := c.throttled.IsZero() || now.Sub(c.throttled) >= throttleQuiet
	c.throttled = now
	c.throttledMu.Unlock()
	if begins {
		c.options.Log.Info("the source refuses calls as too many, they slow down", archive.ErrorKeys(refused)...)
	}
}

func after(tries int, err error) error {
	if tries == 1 {
		return err
	}
	return fmt.Errorf("tried %d times: %w", tries, err)
}

func newPauses() *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, maxPause
	pauses.Multiplier, pauses.RandomizationFactor = 2, 0.5
	pauses.Reset()
	return pauses
}

// pauseAfter is how long to wait after a failed try: the next pause of the
// backoff, and not less than the source asks for. What it asks for is
// stretched by up to a half: calls that were refused together would come back
// together.
func pauseAfter(err error, throttled bool, next time.Duration) time.Duration {
	var least time.Duration
	if throttled {
		least = firstThrottle
	}
	var status *StatusError
	if errors.As(err, &status) {
		least = max(least, status.RetryAfter)
	}
	if least > 0 {
		least += rand.N(least/2 + 1)
	}
	return max(next, least)
}

// once makes the call one time, in its turn.
func (c *Caller) once(ctx context.Context, call func(http.RoundTripper) error) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ctx.Err() != nil { // as well: either may have been chosen
		return context.Cause(ctx)
	}
	if err := c.pace.turn(ctx); err != nil {
		return err
	}
	try, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	b := &bound{caller: c, ctx: try}
	err := call(b)
	switch {
	case err == nil:
		return nil
	case b.refusal != nil:
		return b.refusal
	case try.Err() != nil:
		return fmt.Errorf("no whole answer within %s (ARCHIVER_REQUEST_TIMEOUT)", c.options.Timeout)
	case b.failed != nil:
		return b.failed
	}
	return err
}

// A bound transport ties requests to the context of one try: the clouds' SDKs
// take none. It remembers what the last request came to, because they wrap
// errors in words of their own, some beyond recognition.
type bound struct {
	caller  *Caller
	ctx     context.Context
	refusal *StatusError
	failed  error
}

// RoundTrip carries one request. An answer that is not a success, a redirect
// included, is an error: nothing that is signed follows one.
func (b *bound) RoundTrip(req *http.Request) (*http.Response, error) {
	b.refusal, b.failed = nil, nil
	b.caller.calls.Add(1)
	hide := hider(b.ctx, req.Header)
	resp, err := b.caller.options.Transport.RoundTrip(req.WithContext(b.ctx))
	if err != nil {
		b.failed = hidden(err, hide)
		return nil, b.failed
	}
	b.caller.answered.Store(true)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		b.refusal = newStatusError(resp, hide, b.caller.options.Clock.Now())
		if b.refusal.Throttled() {
			b.caller.refused.Add(1)
			b.caller.pace.refuse(b.refusal.RetryAfter)
			b.caller.sayThrottled(b.refusal)
		} else {
			b.caller.pace.pass()
		}
		return nil, b.refusal
	}
	b.caller.pace.pass()
	return resp, nil
}

// judge tells whether a failed call was throttled, and whether it is worth
// another try. What a server says of the request itself stays true, and so
// does a certificate that is not the server's; everything else, a cut or
// unreadable answer included, may pass.
func judge(err error) (throttled, worth bool) {
	var status *StatusError
	if errors.As(err, &status) {
		switch {
		case status.Throttled():
			return true, true
		case status.Status == http.StatusRequestTimeout, status.Status >= 500:
			return false, true
		}
		return false, false
	}
	var certificate *tls.CertificateVerificationError
	return false, !errors.As(err, &certificate)
}
