package extract

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract/answer"
)

// A transportFunc answers requests.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answers returns a Caller of a source that answers with so many bytes.
func answers(size, concurrency int) *Caller {
	return NewCaller(Options{Concurrency: concurrency, Clock: instant{}, Transport: transportFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: io.NopCloser(io.LimitReader(zeros{}, int64(size)))}, nil
	})})
}

// An instant clock does not wait.
type instant struct{ archive.SystemClock }

func (instant) Sleep(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// get reads an answer, and returns its length.
func get(ctx context.Context, c *Caller, call Call) (n int64, err error) {
	err = c.Do(WithCall(ctx, call), func(t http.RoundTripper) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://source.example", nil)
		if err != nil {
			return err
		}
		resp, err := t.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err = io.Copy(io.Discard, resp.Body)
		return err
	})
	return n, err
}

// However many calls get large answers at once, one has the share of a large answer at a
// time, until its records are released, and all come to their end. The test shares the
// budget with no other.
func TestBudget(t *testing.T) {
	const calls, size = 40, smallAnswer + 1
	c := answers(size, calls)
	var large atomic.Int64
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			share := new(Share)
			n, err := get(t.Context(), c, Call{Share: share})
			if err != nil || n != size || !share.Large() {
				t.Errorf("%d bytes, %v", n, err)
			}
			if now := large.Add(1); now > (Budget-inHand)/LargeAnswer {
				t.Errorf("%d large answers are held", now)
			}
			large.Add(-1)
			share.Release()
			share.Release() // once more does nothing
		})
	}
	all.Wait()
	// All is given back.
	if !budget.TryAcquire(Budget - inHand) {
		t.Fatal("a part of the budget is lost")
	}
	// A call waits for its share, as long as its context lasts.
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	ended := make(chan error, 1)
	go func() {
		_, err := get(ctx, c, Call{})
		ended <- err
	}()
	cancel(stopped)
	if err := <-ended; !errors.Is(err, stopped) {
		t.Error(err)
	}
	budget.Release(Budget - inHand)

	// An early call does not wait, and takes nothing. Without a Share nothing is held.
	early := new(Share)
	if _, err := get(t.Context(), c, Call{Share: early, Early: true}); !errors.Is(err, ErrEarly) || early.Large() {
		t.Errorf("an early call: %v", err)
	}
	if n, err := get(t.Context(), c, Call{}); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	small := new(Share)
	if n, err := get(t.Context(), answers(smallAnswer-1, 1), Call{Share: small, Early: true}); n != smallAnswer-1 || err != nil || small.Large() {
		t.Errorf("a small answer: %d bytes, %v", n, err)
	}
	// While a failed call pauses, others read.
	failing, tries := answers(size, 1), 0
	err := failing.Do(WithCall(t.Context(), Call{Tries: 2}), func(rt http.RoundTripper) error {
		resp, err := rt.RoundTrip(&http.Request{Method: http.MethodGet, Header: make(http.Header)})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		tries++
		return errors.New("cut")
	})
	if err == nil || !strings.Contains(err.Error(), "cut") || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
	if !budget.TryAcquire(Budget - inHand) {
		t.Fatal("a part of the budget is lost")
	}
	budget.Release(Budget - inHand)
}

// The more calls there are, the less each may read, so that all of them stay within the
// budget.
func TestSmallShare(t *testing.T) {
	t.Parallel()
	for concurrency, want := range map[int]int64{1: 4 << 20, 8: 4 << 20, 16: 2 << 20, 64: 512 << 10, 1000: 512 << 10} {
		if got := smallShare(concurrency); got != want {
			t.Errorf("of %d calls each may read %d, want %d", concurrency, got, want)
		}
	}
}

// An answer that is too large is not asked for again: it may concern the page.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	tries := 0
	err := answers(1, 1).Do(t.Context(), func(http.RoundTripper) error {
		tries++
		return answer.ReadObject(bytes.NewReader([]byte(`{"list":[1,2,3]}`)), func(name string, r *answer.Reader) error {
			return answer.ReadElements(r, name, 2, func(answer.Element) {})
		})
	})
	if large := (*answer.TooLargeError)(nil); !errors.As(err, &large) || tries != 1 || !MayConcernPage(err) {
		t.Errorf("%d tries, %v", tries, err)
	}
}
