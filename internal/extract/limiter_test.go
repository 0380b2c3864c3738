package extract_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

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
// minute, and the limiter uses at least 70% of the limit. When the source lifts
// its limit, the rate rises.
func TestLimiterAdapts(t *testing.T) {
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
			if refused*50 >= calls {
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
func TestLimiterRetryAfter(t *testing.T) {
	t.Parallel()
	clock := newClock()
	source := &throttledSource{clock: clock, limit: rate.NewLimiter(0, 1), header: http.Header{"Retry-After": {"50"}}}
	c := newCaller(t, clock, extract.Options{Transport: source, RetryBudget: time.Second})
	for range 2 { // the second call is throttled, and not retried
		if err := c.Do(t.Context(), get("http://source.example", nil)); err != nil && c.Stats().Refused != 1 {
			t.Fatal(err)
		}
	}
	source.limit.SetLimit(rate.Inf)
	if err := c.Do(t.Context(), get("http://source.example", nil)); err != nil || clock.Now().Sub(noon) < 50*time.Second {
		t.Errorf("%v at %v", err, clock.Now().Sub(noon))
	}
}
