package extract_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// A call for a function that the source throttles alone ends after two minutes, or after
// the patience if that is shorter, though nothing else is asked for at the time.
func TestThrottledAlone(t *testing.T) {
	t.Parallel()
	for patience, bound := range map[time.Duration]time.Duration{
		0: 2 * time.Minute, 15 * time.Minute: 2 * time.Minute, 30 * time.Second: 30 * time.Second,
	} {
		for _, retryAfter := range []string{"", "86400"} {
			url := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Function") != "" {
					w.Header().Set("Retry-After", retryAfter)
					w.WriteHeader(http.StatusTooManyRequests)
				}
				_, _ = io.WriteString(w, "good")
			})
			clock := newClock()
			c := newCaller(t, clock, extract.Options{Patience: patience})
			c.SetProbe(func(ctx context.Context) error { return c.Do(ctx, get(url, nil)) })
			ctx := extract.WithCall(t.Context(), extract.Call{Function: "f"})
			err := c.Do(ctx, get(url, http.Header{"Function": {"f"}}))
			var status *extract.StatusError
			if !errors.Is(err, archive.ErrThrottled) || errors.Is(err, archive.ErrBusy) || !errors.As(err, &status) {
				t.Errorf("%v, %q: %v", patience, retryAfter, err)
			}
			if waited := clock.Now().Sub(noon); waited < bound || waited > bound+time.Minute {
				t.Errorf("%v, %q: ended after %v", patience, retryAfter, waited)
			}
		}
	}
}

// A call for a function waits as long as the source refuses all calls: until it accepts
// them, or for the patience.
func TestThrottledWithOthers(t *testing.T) {
	t.Parallel()
	for until, want := range map[time.Duration]error{10 * time.Minute: nil, time.Hour: archive.ErrBusy} {
		clock := newClock()
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if clock.Now().Sub(noon) < until {
				w.WriteHeader(http.StatusTooManyRequests)
			}
			_, _ = io.WriteString(w, "good")
		})
		c := newCaller(t, clock, extract.Options{Patience: 15 * time.Minute})
		c.SetProbe(func(ctx context.Context) error { return c.Do(ctx, get(url, nil)) })
		ctx := extract.WithCall(t.Context(), extract.Call{Function: "f"})
		if err := c.Do(ctx, get(url, nil)); !errors.Is(err, want) || errors.Is(err, archive.ErrThrottled) {
			t.Errorf("%v: %v", until, err)
		}
		if waited := clock.Now().Sub(noon); want != nil && waited > 20*time.Minute {
			t.Errorf("gave up after %v", waited)
		}
	}
}

// A patience may end at a time that does not depend on when it began, such as a tick.
func TestPatienceEnd(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	clock := newClock()
	_ = clock.Sleep(t.Context(), 50*time.Minute)
	c := newCaller(t, clock, extract.Options{Patience: time.Hour, PatienceEnd: func(since time.Time) time.Time {
		return since.Truncate(time.Hour).Add(time.Hour)
	}})
	for _, end := range []time.Duration{time.Hour, 2 * time.Hour} {
		if err := c.Do(t.Context(), get(url, nil)); !errors.Is(err, archive.ErrBusy) || clock.Now().Sub(noon) != end {
			t.Errorf("%v at %v", err, clock.Now())
		}
	}
}
