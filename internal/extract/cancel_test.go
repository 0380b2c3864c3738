package extract_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"archiver/internal/extract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// patience is a timeout that never fires in a passing test.
const patience = time.Minute

var errStop = errors.New("stopped by the test")

// hang sends nothing, or half of an answer, and waits until the client is gone.
func hang(half bool) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		if half {
			w.Header().Set("Content-Length", "4")
			fmt.Fprint(w, "go")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}
}

// Cancelling ends a call at once in each phase; the error is the cause.
func TestDoCancelled(t *testing.T) {
	t.Parallel()
	for name, half := range map[string]bool{"before the answer": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			url := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
				cancel(errStop)
				hang(half)(n, w, r)
			})
			c := newCaller(t, newClock(), extract.Options{Timeout: patience})
			if err := c.Do(ctx, get(url, nil)); !errors.Is(err, errStop) || c.Stats().Calls != 1 {
				t.Errorf("%v after %d calls", err, c.Stats().Calls)
			}
		})
	}
	t.Run("in a pause", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		clock := newClock()
		clock.onSleep = func() { cancel(errStop) }
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		c := newCaller(t, clock, extract.Options{})
		if err := c.Do(ctx, get(url, nil)); !errors.Is(err, errStop) || c.Stats().Calls != 1 {
			t.Errorf("%v after %d calls", err, c.Stats().Calls)
		}
	})
	t.Run("waiting for the limiter", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		clock := newClock()
		clock.onSleep = func() { cancel(errStop) }
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") })
		c := newCaller(t, clock, extract.Options{Rate: 0.001})
		if err := c.Do(ctx, get(url, nil)); err != nil {
			t.Fatal(err)
		}
		if err := c.Do(ctx, get(url, nil)); !errors.Is(err, errStop) || c.Stats().Calls != 1 {
			t.Errorf("%v after %d calls", err, c.Stats().Calls)
		}
		// The next call takes over the cancelled reservation.
		clock.onSleep = nil
		if err := c.Do(t.Context(), get(url, nil)); err != nil || clock.Now().Sub(noon) != 1000*time.Second {
			t.Errorf("%v at %v", err, clock.Now())
		}
	})
	t.Run("waiting for a slot", func(t *testing.T) {
		t.Parallel()
		c := newCaller(t, newClock(), extract.Options{Concurrency: 1})
		ctx, cancel := context.WithCancelCause(t.Context())
		err := c.Do(t.Context(), func(http.RoundTripper) error {
			cancel(errStop)
			err := c.Do(ctx, func(http.RoundTripper) error { return nil })
			if !errors.Is(err, errStop) {
				t.Errorf("got %v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// The timeout of an attempt covers the whole answer, and a timeout is retried.
func TestDoTimeout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		half  bool
		tries int64
	}{"before the answer": {false, 5}, "in the body": {true, 7}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, hang(test.half))
			c := newCaller(t, newClock(), extract.Options{Timeout: 30 * time.Millisecond})
			err := c.Do(t.Context(), get(url, nil))
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("tried %d times: no complete answer within 30ms", test.tries)) || c.Stats().Calls != test.tries {
				t.Errorf("%v after %d calls", err, c.Stats().Calls)
			}
		})
	}
}

// At most Concurrency calls run at once, reading of the bodies included.
func TestDoConcurrency(t *testing.T) {
	t.Parallel()
	const slots = 3
	c := newCaller(t, newClock(), extract.Options{Concurrency: slots})
	var running, most atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			err := c.Do(t.Context(), func(http.RoundTripper) error {
				n := running.Add(1)
				defer running.Add(-1)
				for m := most.Load(); n > m; m = most.Load() {
					if most.CompareAndSwap(m, n) {
						break
					}
				}
				if n == slots {
					once.Do(func() { close(full) })
				}
				<-full
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if most.Load() != slots {
		t.Errorf("%d calls at once", most.Load())
	}
}

// Once a run has ended, the call under way is answered. A call that waits for its start
// is not made, and neither is a call again.
func TestDoEnded(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"answered": http.StatusOK, "failed": http.StatusInternalServerError} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended, called := make(chan struct{}), make(chan struct{})
			url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				close(called) // a second call would panic
				<-ended
				w.WriteHeader(status)
				fmt.Fprint(w, "good")
			})
			c := newCaller(t, newClock(), extract.Options{Concurrency: 1, Timeout: patience})
			ctx := extract.WithCall(t.Context(), extract.Call{Ended: ended})
			waits := make(chan error, 1)
			go func() {
				<-called
				go close(ended)
				waits <- c.Do(ctx, get(url, nil))
			}()
			if err := c.Do(ctx, get(url, nil)); (err == nil) != (status == http.StatusOK) {
				t.Error(err)
			}
			if err := <-waits; err == nil || c.Stats().Calls != 1 {
				t.Errorf("%v after %d calls", err, c.Stats().Calls)
			}
		})
	}
}
