package extract_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/extract"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// A fakeClock advances at once when Sleep is called, and records the durations.
type fakeClock struct {
	mu      sync.Mutex
	now     time.Time
	slept   []time.Duration
	onSleep func() // if set, called at the beginning of each Sleep
}

func newClock() *fakeClock { return &fakeClock{now: noon} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.onSleep != nil {
		c.onSleep()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return nil
}

func (c *fakeClock) sleeps() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.slept...)
}

// serve starts a server. n counts its requests from 0.
func serve(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	var calls atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(int(calls.Add(1)-1), w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// newCaller makes a Caller whose connections are closed when the test ends.
func newCaller(t *testing.T, clock *fakeClock, o extract.Options) *extract.Caller {
	t.Helper()
	if o.Transport == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		t.Cleanup(transport.CloseIdleConnections)
		o.Transport = transport
	}
	o.Clock = clock
	return extract.NewCaller(o)
}

var errBody = errors.New("unexpected body")

// get makes a call that fails with errBody unless the answer is "good".
func get(url string, header http.Header) func(http.RoundTripper) error {
	return func(transport http.RoundTripper) error {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		for name := range header {
			req.Header.Set(name, header.Get(name))
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if string(body) != "good" {
			return errBody
		}
		return nil
	}
}
