package extract_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"archiver/internal/extract"
)

// An observer records what Options.Observe is called with.
type observer struct {
	mu       sync.Mutex
	outcomes []string
	took     []time.Duration
}

func (o *observer) observe(outcome string, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outcomes, o.took = append(o.outcomes, outcome), append(o.took, took)
}

// Each attempt, retries included, is observed once with its outcome.
func TestObserve(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		200: "ok", 301: "refused", 400: "refused", 401: "denied", 403: "denied", 404: "not_found",
		408: "refused", 429: "throttled", 500: "server_error", 503: "server_error",
	} {
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, "good")
		})
		o := new(observer)
		c := newCaller(t, newClock(), extract.Options{Observe: o.observe, Patience: time.Minute})
		_ = c.Do(t.Context(), get(url, nil)) // fails for most statuses
		if int64(len(o.outcomes)) != c.Stats().Calls || slices.ContainsFunc(o.outcomes, func(got string) bool { return got != want }) {
			t.Errorf("%d: %d calls observed as %v, want %s", status, c.Stats().Calls, o.outcomes, want)
		}
		if !slices.Contains(extract.Outcomes, want) {
			t.Errorf("%s is not one of the outcomes", want)
		}
	}
	for name, failing := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
	}{
		"reset":           {answers["reset"], "network"},
		"unexpected body": {answers["unexpected body"], "unreadable"},
		"cut": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "4")
			fmt.Fprint(w, "go")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "unreadable"},
		"500 that is cut": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusInternalServerError)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "server_error"},
	} {
		url := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 0 {
				failing.answer(w)
				return
			}
			fmt.Fprint(w, "good")
		})
		o := new(observer)
		c := newCaller(t, newClock(), extract.Options{Observe: o.observe, Transport: &http.Transport{DisableKeepAlives: true}})
		if err := c.Do(t.Context(), get(url, nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(o.outcomes, []string{failing.want, "ok"}) {
			t.Errorf("%s: observed %v, want %s and ok", name, o.outcomes, failing.want)
		}
	}
}

// The observed duration includes reading the answer, not waiting for the limiter.
func TestObserveTook(t *testing.T) {
	t.Parallel()
	clock, o := newClock(), new(observer)
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") })
	c := newCaller(t, clock, extract.Options{Observe: o.observe, Rate: 0.1})
	for range 2 {
		if err := c.Do(t.Context(), func(transport http.RoundTripper) error {
			err := get(url, nil)(transport)
			_ = clock.Sleep(t.Context(), 3*time.Second)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(o.took, []time.Duration{3 * time.Second, 3 * time.Second}) {
		t.Errorf("took %v", o.took)
	}
}

// Each request of a call is observed. Cancelled and timed out requests have
// outcomes of their own.
func TestObserveEnds(t *testing.T) {
	t.Parallel()
	o := new(observer)
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") })
	c := newCaller(t, newClock(), extract.Options{Observe: o.observe})
	if err := c.Do(t.Context(), func(transport http.RoundTripper) error {
		if err := get(url, nil)(transport); err != nil {
			return err
		}
		return get(url, nil)(transport)
	}); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	hangs := serve(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if err := c.Do(ctx, get(hangs, nil)); err == nil {
		t.Error("a call that was ended succeeds")
	}
	if !slices.Equal(o.outcomes, []string{"ok", "ok", "canceled"}) {
		t.Errorf("observed %v", o.outcomes)
	}

	slow := new(observer)
	c = newCaller(t, newClock(), extract.Options{Observe: slow.observe, Timeout: time.Millisecond})
	if err := c.Do(t.Context(), get(hangs, nil)); err == nil {
		t.Error("a call without an answer succeeds")
	}
	if len(slow.outcomes) == 0 || slices.ContainsFunc(slow.outcomes, func(got string) bool { return got != "timeout" }) {
		t.Errorf("observed %v", slow.outcomes)
	}
}
