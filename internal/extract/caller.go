package extract

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"archiver/internal/archive"
)

// Options of a Caller. A zero field means its default.
type Options struct {
	Concurrency int           // concurrent calls; default 1
	Rate        float64       // most calls a second; 0 for as many as the source allows
	Timeout     time.Duration // of one attempt, reading the answer's body included; default DefaultTimeout
	RetryBudget time.Duration // how long a failing call is retried; default DefaultRetryBudget
	Patience    time.Duration // how long the source may throttle all calls; 0 for as long as it does
	// PatienceEnd, if set, returns when the patience ends that begins at a time; Patience is
	// then the longest.
	PatienceEnd func(since time.Time) time.Time
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

	// The pauses between attempts, with 50% jitter. A call that is throttled while the
	// source accepts no other waits at least 2 s: FunctionGraph asks for 2 s to 5 s.
	firstPause       = 500 * time.Millisecond
	minThrottlePause = 2 * time.Second
	maxPause         = 30 * time.Second

	// maxHeader is the most that is read of an answer's header, in bytes. The header with a
	// token of IAM has some 10,000.
	maxHeader = 256 << 10

	// The log reports throttling again after this long without throttling.
	throttleLogPause = 5 * time.Minute
)

// A Caller makes the calls of one source: it limits their rate and number,
// retries and measures them. When the source throttles calls, the Caller slows
// down, and later speeds up again.
type Caller struct {
	options   Options
	slots     *semaphore.Weighted // of running attempts
	small     int64               // how much of a body is read as of a small answer
	gate      *gate
	calls     atomic.Int64
	throttled atomic.Int64
	succeeded atomic.Int64
	answers   atomic.Int64
	dated     atomic.Pointer[dated] // the last answer; nil if it does not say what time it is

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
		t.MaxResponseHeaderBytes = maxHeader
		// HTTP/1 alone: over HTTP/2 the empty body of neverReplayed would be sent.
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		o.Transport = t
	}
	if o.Clock == nil {
		o.Clock = archive.SystemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := newGate(o.Clock, o.Rate, o.Patience)
	if o.PatienceEnd != nil {
		g.busyEnd = o.PatienceEnd
	}
	return &Caller{options: o, slots: semaphore.NewWeighted(int64(o.Concurrency)), small: smallShare(o.Concurrency), gate: g}
}

// Stats returns the totals so far.
func (c *Caller) Stats() archive.SourceStats {
	return archive.SourceStats{Calls: c.calls.Load(), Refused: c.throttled.Load(), Answered: c.succeeded.Load()}
}

// Pace returns how many calls the source accepts in 1,000 seconds; 0 if it has refused
// none.
func (c *Caller) Pace() int64 {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.gate.all.pace.learned()
}

// StartPace sets the pace of a source that has not refused a call yet, in calls in 1,000
// seconds.
func (c *Caller) StartPace(pace int64) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.all.pace.learn(pace)
}

// Ahead returns how far the source's clock is ahead of this machine's, by the Date of the last
// answer. It returns the number of this answer, or 0 if that does not say.
func (c *Caller) Ahead() (ahead time.Duration, answer int64) {
	if d := c.dated.Load(); d != nil {
		return d.ahead, d.answer
	}
	return 0, 0
}

// SetProbe sets the cheapest call of the source, before the first call. It shows whether
// the source throttles a function alone.
func (c *Caller) SetProbe(probe func(context.Context) error) { c.gate.probe = probe }

// Clock returns the clock of the Caller's timeouts and pauses.
func (c *Caller) Clock() archive.Clock { return c.options.Clock }

// Answered reports whether the source has ever answered, even with an error.
func (c *Caller) Answered() bool { return c.answers.Load() > 0 }

// Do runs send with a transport for its requests. When send fails with a
// retryable error, Do runs send again until the retry budget is spent. send must
// read and close the answer's body, and return the errors of reading it.
//
// While the source throttles, Do waits until the source accepts the call. If the source
// has accepted no call for Options.Patience, the error matches archive.ErrBusy. If it has
// refused the calls for one function for two minutes and accepts others, the error matches
// archive.ErrThrottled.
//
// If the source answered with an error status, or with an error in its envelope, Do
// returns a *StatusError, even if send wrapped or replaced it. When ctx ends, Do ends the
// running attempt at once and returns the context's cause.
func (c *Caller) Do(ctx context.Context, send func(http.RoundTripper) error) error {
	call := callOf(ctx)
	if call.Share == nil {
		call.Share = new(Share)
		defer call.Share.Release()
	}
	r := retries{
		options: call, budget: c.options.RetryBudget, backOff: newBackOff(), began: c.options.Clock.Now(),
	}
	for {
		err := c.try(ctx, &r, send)
		if err == nil {
			c.succeeded.Add(1)
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if errors.Is(err, errLarge) {
			if call.Early {
				return ErrEarly
			}
			if err := call.Share.take(ctx); err != nil {
				return err
			}
			continue
		}
		call.Share.Release() // others need not wait for the pause, nor the probe for this call
		var pause time.Duration
		var over error // the patience
		status := statusOfError(err)
		switch {
		case errors.Is(err, errEnded):
			return err
		case errors.Is(err, archive.ErrBusy), errors.Is(err, archive.ErrThrottled):
			over = err
		case status != nil && status.Throttled():
			pause, over = c.gate.afterRefusal(status, &passage{function: r.options.Function, since: r.began})
		default:
			var again bool
			if pause, again = r.next(err, c.Answered()); !again {
				return withTries(r.tried, err)
			}
		}
		if errors.Is(over, archive.ErrThrottled) {
			alone, failed := c.gate.throttlesAlone(ctx, r.options.Function)
			if !alone && failed == nil {
				continue
			}
			over = cmp.Or(failed, over)
		}
		if over != nil {
			return over
		}
		c.options.Log.Debug("retrying a call", append([]any{"try", r.tried, "seconds", pause.Seconds()}, archive.ErrorKeys(err)...)...)
		if err := c.options.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
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
