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
	"golang.org/x/sync/semaphore"

	"archiver/internal/archive"
)

// Options of a Caller. A zero field means its default.
type Options struct {
	Concurrency int               // concurrent calls; default 1
	Rate        float64           // most calls a second; 0 for as many as the source allows
	Timeout     time.Duration     // of one attempt, reading the answer's body included; default DefaultTimeout
	RetryBudget time.Duration     // how long a failing call is retried; default DefaultRetryBudget
	Transport   http.RoundTripper // default a clone of http.DefaultTransport
	Clock       archive.Clock     // default archive.SystemClock
	Log         *slog.Logger      // default none

	// Observe, if set, is called once for each request, retries included, with
	// its outcome (one of Outcomes) and its duration. Several goroutines may
	// call Observe at once.
	Observe func(outcome string, took time.Duration)
}

const (
	// DefaultTimeout limits one attempt of a call.
	DefaultTimeout = 30 * time.Second

	// DefaultRetryBudget is how long a failing call is retried: no attempt
	// starts later than this after the first one.
	DefaultRetryBudget = 2 * time.Minute

	// The most attempts of a call that is not throttled. Seven attempts take
	// about half a minute. While the source has never answered, fewer attempts
	// report a wrong address within seconds.
	maxTries         = 7
	maxTriesNoAnswer = 5

	// The pauses between attempts, with 50% jitter. A throttled call waits at
	// least 2 s: FunctionGraph asks for 2 s to 5 s.
	firstPause       = 500 * time.Millisecond
	minThrottlePause = 2 * time.Second
	maxPause         = 30 * time.Second

	// The log reports throttling again after this long without throttling.
	throttleLogPause = 5 * time.Minute
)

// A Caller makes the calls of one source: it limits their rate and number,
// retries and measures them. When the source throttles calls, the Caller slows
// down, and later speeds up again.
type Caller struct {
	options   Options
	slots     *semaphore.Weighted // of running attempts
	limiter   *limiter
	calls     atomic.Int64
	throttled atomic.Int64
	answered  atomic.Bool

	logMu         sync.Mutex
	lastThrottled time.Time
}

// NewCaller makes a Caller.
func NewCaller(o Options) *Caller {
	o.Concurrency = max(o.Concurrency, 1)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.RetryBudget = cmp.Or(o.RetryBudget, DefaultRetryBudget)
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
	return &Caller{options: o, slots: semaphore.NewWeighted(int64(o.Concurrency)), limiter: newLimiter(o.Clock, o.Rate)}
}

// Stats returns the totals so far.
func (c *Caller) Stats() archive.SourceStats {
	return archive.SourceStats{Calls: c.calls.Load(), Refused: c.throttled.Load()}
}

// Clock returns the clock of the Caller's timeouts and pauses.
func (c *Caller) Clock() archive.Clock { return c.options.Clock }

// Answered reports whether the source has ever answered, even with an error.
func (c *Caller) Answered() bool { return c.answered.Load() }

// Do runs call with a transport for its requests. When call fails with a
// retryable error, Do runs call again until the retry budget is spent. call must
// read and close the answer's body, and return the errors of reading it.
//
// If the source answered with an error status, Do returns a *StatusError,
// even if call wrapped or replaced it. When ctx ends, Do ends the running
// attempt at once and returns the context's cause.
func (c *Caller) Do(ctx context.Context, call func(http.RoundTripper) error) error {
	options := callOf(ctx)
	backOff := newBackOff()
	var failing time.Duration // attempts and pauses that count for the budget
	var denied bool
	for try := 1; ; {
		began := c.options.Clock.Now()
		err := c.try(ctx, call)
		if err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		throttled, retryable := classify(err)
		if isUnauthorized(err) && !denied && !options.Login {
			denied, retryable = true, true
			try-- // this attempt does not count
		}
		most := maxTries
		if !c.Answered() {
			most = maxTriesNoAnswer
		}
		if options.Tries > 0 {
			most = min(most, options.Tries)
		}
		if !retryable || !throttled && try >= most {
			return withTries(try, err)
		}
		pause := pauseAfter(err, throttled, backOff.NextBackOff())
		if options.Tries > 0 && !throttled {
			pause = min(pause, firstPause)
		}
		failing += c.options.Clock.Now().Sub(began) + pause
		if failing > c.options.RetryBudget {
			return withTries(try, err)
		}
		c.options.Log.Debug("retrying a call", append([]any{"try", try, "seconds", pause.Seconds()}, archive.ErrorKeys(err)...)...)
		if err := c.options.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
		try++
	}
}

// logThrottled logs when throttling begins, not each throttled call.
func (c *Caller) logThrottled(status *StatusError) {
	now := c.options.Clock.Now()
	c.logMu.Lock()
	begins := c.lastThrottled.IsZero() || now.Sub(c.lastThrottled) >= throttleLogPause
	c.lastThrottled = now
	c.logMu.Unlock()
	if begins {
		c.options.Log.Info("the source throttles calls; the archiver slows down", archive.ErrorKeys(status)...)
	}
}

func withTries(tries int, err error) error {
	if tries == 1 {
		return err
	}
	return fmt.Errorf("tried %d times: %w", tries, err)
}

func newBackOff() *backoff.ExponentialBackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, maxPause
	pauses.Multiplier, pauses.RandomizationFactor = 2, 0.5
	pauses.Reset()
	return pauses
}

// pauseAfter is the pause after a failed attempt: the backoff's pause, or longer
// if the source asked for it. The source's pause gets up to 50% jitter, so that
// calls throttled together do not return together.
func pauseAfter(err error, throttled bool, backOff time.Duration) time.Duration {
	var least time.Duration
	if throttled {
		least = minThrottlePause
	}
	var status *StatusError
	if errors.As(err, &status) {
		least = max(least, min(status.RetryAfter, DefaultRetryBudget/2))
	}
	if least > 0 {
		least += rand.N(least/2 + 1)
	}
	return max(backOff, least)
}

// classify reports whether the source throttled the call, and whether a retry
// may help. A status below 500, except 408, is about the request itself and
// does not change, and neither does an untrusted certificate. A signature that was seen
// before changes: each attempt signs its own request. All other errors
// may pass, also an answer that is cut or not readable.
func classify(err error) (throttled, retryable bool) {
	var status *StatusError
	if errors.As(err, &status) {
		switch {
		case status.Throttled():
			return true, true
		case status.Status == http.StatusRequestTimeout, status.Status >= 500, status.isStaleSignature():
			return false, true
		}
		return false, false
	}
	var certificate *tls.CertificateVerificationError
	return false, !errors.As(err, &certificate)
}

func isUnauthorized(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Status == http.StatusUnauthorized
}
