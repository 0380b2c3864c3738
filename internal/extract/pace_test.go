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

// A throttled source allows so many calls a second, bursts of one second
// included, and takes 20 ms for each.
type throttled struct {
	clock *fakeClock
	limit *rate.Limiter
	head  http.Header // of its refusals
}

func (s *throttled) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := s.clock.Sleep(req.Context(), 20*time.Millisecond); err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: s.head, Request: req, Body: io.NopCloser(strings.NewReader("good"))}
	if !s.limit.AllowN(s.clock.Now(), 1) {
		resp.StatusCode = http.StatusTooManyRequests
	}
	return resp, nil
}

// Under a fixed limit fewer than one call in fifty is refused over any minute,
// and most of what the source allows is used; where it allows more, so it is.
func TestPaceUnderLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{2, 5, 10, 40} {
		clock := newClock()
		source := &throttled{clock: clock, limit: rate.NewLimiter(rate.Limit(limit), int(limit))}
		c := newCaller(t, clock, extract.Options{Transport: source, Budget: time.Hour})
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

// Whoever asks to be left alone for a time is, by all calls.
func TestPaceRetryAfter(t *testing.T) {
	t.Parallel()
	clock := newClock()
	source := &throttled{clock: clock, limit: rate.NewLimiter(0, 1), head: http.Header{"Retry-After": {"50"}}}
	c := newCaller(t, clock, extract.Options{Transport: source, Budget: time.Second})
	for range 2 { // the second is refused, and not tried again
		if err := c.Do(t.Context(), get("http://source.example", nil)); err != nil && c.Stats().Refused != 1 {
			t.Fatal(err)
		}
	}
	source.limit.SetLimit(rate.Inf)
	if err := c.Do(t.Context(), get("http://source.example", nil)); err != nil || clock.Now().Sub(noon) < 50*time.Second {
		t.Errorf("%v at %v", err, clock.Now().Sub(noon))
	}
}
