package extract_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// A throttledSource answers 429 beyond its limit. Each call takes 20 ms.
type throttledSource struct {
	clock  *fakeClock
	limit  *rate.Limiter
	header http.Header // of all answers
}

func (s *throttledSource) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := s.clock.Sleep(req.Context(), 20*time.Millisecond); err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: s.header, Request: req, Body: io.NopCloser(strings.NewReader("good"))}
	if !s.limit.AllowN(s.clock.Now(), 1) {
		resp.StatusCode = http.StatusTooManyRequests
	}
	return resp, nil
}

// Under a fixed limit, the source throttles fewer than one call in fifty in each
// minute after the first, in which the limit is found, and the pace uses at least 70% of
// the limit. When the source lifts its limit, the pace rises.
func TestPaceAdapts(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{2, 5, 10, 40} {
		clock := newClock()
		source := &throttledSource{clock: clock, limit: rate.NewLimiter(rate.Limit(limit), int(limit))}
		c := newCaller(t, clock, extract.Options{Transport: source, RetryBudget: time.Hour})
		minute := func() (calls, refused int64) {
			before, until := c.Stats(), clock.Now().Add(time.Minute)
			for clock.Now().Before(until) {
				if err := c.Do(t.Context(), get("http://source.example", nil)); err != nil {
					t.Fatal(err)
				}
			}
			after := c.Stats()
			return after.Calls - before.Calls, after.Refused - before.Refused
		}
		for n := range 10 {
			calls, refused := minute()
			t.Logf("limit %v, minute %d: %d calls, %d refused", limit, n, calls, refused)
			if n == 0 && refused*20 >= calls || n > 0 && refused*50 >= calls {
				t.Errorf("limit %v, minute %d: %d of %d calls refused", limit, n, refused, calls)
			}
			if float64(calls) < 60*limit*0.7 {
				t.Errorf("limit %v, minute %d: only %d calls", limit, n, calls)
			}
		}
		source.limit.SetLimitAt(clock.Now(), 1000)
		source.limit.SetBurstAt(clock.Now(), 1000)
		for range 5 {
			minute()
		}
		if calls, _ := minute(); float64(calls) < 60*min(3*limit, 40) {
			t.Errorf("limit %v lifted: %d calls a minute", limit, calls)
		}
	}
}

// A Retry-After delays all calls, not only the throttled one.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"Retry-After": "50", "X-Acs-Retry-After": "50000"} {
		clock := newClock()
		source := &throttledSource{clock: clock, limit: rate.NewLimiter(0, 1), header: http.Header{name: {value}}}
		c := newCaller(t, clock, extract.Options{Transport: source})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 2 { // the second call is throttled, and canceled while it waits
			if err := c.Do(ctx, get("http://source.example", nil)); err != nil && c.Stats().Refused != 1 {
				t.Fatal(err)
			}
			clock.onSleep = func() {
				if c.Stats().Refused > 0 {
					cancel()
				}
			}
		}
		clock.onSleep = nil
		source.limit.SetLimit(rate.Inf)
		if err := c.Do(t.Context(), get("http://source.example", nil)); err != nil || clock.Now().Sub(noon) < 50*time.Second {
			t.Errorf("%s: %v at %v", name, err, clock.Now().Sub(noon))
		}
	}
}

// A throttled call has no retry budget: it is made until the source accepts it.
func TestThrottledCallWaits(t *testing.T) {
	t.Parallel()
	const refused = 500
	url := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < refused {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, "good")
	})
	clock := newClock()
	c := newCaller(t, clock, extract.Options{RetryBudget: time.Second})
	ctx := extract.WithCall(t.Context(), extract.Call{Function: "f", Tries: 1})
	if err := c.Do(ctx, get(url, nil)); err != nil || c.Stats().Refused != refused {
		t.Errorf("%v after %+v", err, c.Stats())
	}
	if waited := clock.Now().Sub(noon); waited < refused*10*time.Second {
		t.Errorf("%d calls within %v", refused, waited)
	}
}

// The time that a call waits while the source throttles is no part of its retry budget.
func TestThrottlingSpendsNoBudget(t *testing.T) {
	t.Parallel()
	url := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch {
		case n < 20:
			w.WriteHeader(http.StatusTooManyRequests)
		case n < 22:
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "good")
	})
	clock := newClock()
	c := newCaller(t, clock, extract.Options{RetryBudget: 10 * time.Second})
	if err := c.Do(t.Context(), get(url, nil)); err != nil || clock.Now().Sub(noon) < time.Minute {
		t.Errorf("%v after %v", err, clock.Now().Sub(noon))
	}
}

// When the source has accepted nothing for the patience, calls end with ErrBusy, which
// names the last refusal. A later call has a patience of its own.
func TestPatience(t *testing.T) {
	t.Parallel()
	for _, retryAfter := range []string{"", "7", "86400"} {
		answer := http.StatusTooManyRequests
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			w.WriteHeader(answer)
			_, _ = io.WriteString(w, "good")
		})
		clock := newClock()
		c := newCaller(t, clock, extract.Options{Patience: 15 * time.Minute})
		for range 3 {
			calls, began := c.Stats().Calls, clock.Now()
			err := c.Do(t.Context(), get(url, nil))
			var status *extract.StatusError
			if !errors.Is(err, archive.ErrBusy) || !errors.As(err, &status) || status.Status != answer {
				t.Fatalf("%q: got %v", retryAfter, err)
			}
			if calls = c.Stats().Calls - calls; retryAfter != "86400" && calls < 2 {
				t.Errorf("%q: %d calls", retryAfter, calls)
			}
			if waited := clock.Now().Sub(began); waited != 15*time.Minute {
				t.Errorf("%q: gave up after %v", retryAfter, waited)
			}
		}
		answer = http.StatusOK
		_ = clock.Sleep(t.Context(), time.Hour) // the longest Retry-After
		if err := c.Do(t.Context(), get(url, nil)); err != nil {
			t.Errorf("%q: %v", retryAfter, err)
		}
	}
}

// The pace obeys a limit that a message names.
func TestNamedLimitIsObeyed(t *testing.T) {
	t.Parallel()
	for message, most := range map[string]int64{`20 requests per second`: 20 * 60, `每分钟最多10次`: 10} {
		clock := newClock()
		limited := true
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if limited {
				w.WriteHeader(http.StatusTooManyRequests)
				_, _ = io.WriteString(w, `{"error_code":"FSS.0429","error_msg":"`+message+`"}`)
			}
			limited = false
			_, _ = io.WriteString(w, "good")
		})
		c := newCaller(t, clock, extract.Options{})
		for clock.Now().Sub(noon) < 10*time.Minute {
			if err := c.Do(t.Context(), get(url, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Stats().Calls / 10; got > most || got < most*9/10 {
			t.Errorf("%s: %d calls a minute", message, got)
		}
	}
}
