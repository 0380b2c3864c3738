package conformance

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"archiver/internal/extract"
)

// The source makes as many calls at once and a second as the caller allows. If the
// cloud throttles, the source slows down, and later makes the same calls again.
func (s *Suite) limits(t *testing.T) {
	t.Run("concurrency", s.concurrency)
	t.Run("rate", s.rate)
	t.Run("throttled", s.throttled)
	for name, header := range map[string]string{"429": "", "429 with Retry-After": "17"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := s.open(t, s.plain())
			w.disturb = func(n int64, answer http.ResponseWriter, _ *http.Request) bool {
				if n > 1 {
					return false
				}
				if header != "" {
					answer.Header().Set("Retry-After", header)
				}
				answer.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			least := 2 * time.Second // as FunctionGraph's documentation asks; no other cloud documents a pause
			if header != "" {
				least = 17 * time.Second
			}
			_, err := read(t.Context(), w.source, w.hour())
			if waited := w.clock.Now().Sub(noon); err != nil || w.calls.Load() != 2 || waited < least || waited > 2*least+time.Second {
				t.Errorf("%v after %d calls and %v", err, w.calls.Load(), waited)
			}
		})
	}
}

func (s *Suite) concurrency(t *testing.T) {
	t.Parallel()
	const most = 3
	w := s.open(t, s.plain(), func(o *extract.Options) { o.Concurrency = most })
	w.cloud.records = spread("r", noon, 4*s.PageSize)
	var mu sync.Mutex
	underWay, peak := 0, 0
	full := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(full) })
	w.disturb = func(int64, http.ResponseWriter, *http.Request) bool {
		mu.Lock()
		if underWay++; underWay > peak {
			peak = underWay
			switch {
			case peak == most: // wait so long for one call too many
				time.AfterFunc(time.Second, goOn)
			case peak > most:
				goOn()
			}
		}
		mu.Unlock()
		select {
		case <-full:
		case <-time.After(15 * time.Second): // fails once, not once for each call
			t.Error("the other calls did not come")
			goOn()
		}
		mu.Lock()
		underWay--
		mu.Unlock()
		return false
	}
	var readers sync.WaitGroup
	for range 2 * most {
		readers.Go(func() {
			pages, err := read(t.Context(), w.source, w.hour())
			if err != nil {
				t.Error(err)
			}
			checkRecords(t, pages, w.cloud.now())
		})
	}
	readers.Wait()
	if peak != most {
		t.Errorf("%d calls at once", peak)
	}
}

func (s *Suite) rate(t *testing.T) {
	t.Parallel()
	w := s.open(t, s.plain(), func(o *extract.Options) { o.Rate = 4 })
	w.cloud.records = spread("r", noon, 12*s.PageSize-1)
	if _, err := read(t.Context(), w.source, w.hour()); err != nil {
		t.Fatal(err)
	}
	if took, least := w.clock.Now().Sub(noon), time.Duration(w.calls.Load()-1)*time.Second/4; took != least {
		t.Errorf("%d calls at 4 a second took %v", w.calls.Load(), took)
	}
}

func (s *Suite) throttled(t *testing.T) {
	t.Parallel()
	const allowed = 1
	w := s.open(t, s.plain())
	limit := rate.NewLimiter(allowed, allowed)
	w.disturb = func(_ int64, answer http.ResponseWriter, r *http.Request) bool {
		_ = w.clock.Sleep(r.Context(), 20*time.Millisecond)
		if limit.AllowN(w.clock.Now(), 1) {
			return false
		}
		answer.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	minute := func() (calls, refused int64) {
		before, until := w.source.Stats(), w.clock.Now().Add(time.Minute)
		for w.clock.Now().Before(until) {
			if _, err := read(t.Context(), w.source, w.hour()); err != nil {
				t.Fatal(err)
			}
		}
		after := w.source.Stats()
		return after.Calls - before.Calls, after.Refused - before.Refused
	}
	minute()
	minute()
	calls, refused := minute()
	if refused*15 > calls || calls < 60*allowed*6/10 {
		t.Fatalf("%d calls a minute, %d refused, where %d are allowed", calls, refused, 60*allowed)
	}
	limit.SetLimitAt(w.clock.Now(), rate.Inf)
	for range 3 {
		minute()
	}
	if free, _ := minute(); free < 2*calls {
		t.Errorf("%d calls a minute after %d while throttled", free, calls)
	}
}
