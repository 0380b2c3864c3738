package conformance

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"archiver/internal/extract"
)

var errStop = errors.New("stopped by the test")

// If the context ends, the call under way ends at once, and the error is the context's
// cause. If the reader stops, the calls under way end as well. No goroutine is left.
func (s *Suite) cancelling(t *testing.T) {
	tests := map[string]func(*testing.T, *world){
		"before the answer": func(t *testing.T, w *world) { s.cancelled(t, w, "too slow") },
		"in the body":       func(t *testing.T, w *world) { s.cancelled(t, w, "too slow in its body") },
		"before a pause":    func(t *testing.T, w *world) { s.cancelled(t, w, "500") },
		"before the call":   s.cancelledBefore,
		"by who reads":      s.stopReading,
	}
	for _, l := range s.listings() {
		tests[l.name+" before the answer"] = func(t *testing.T, w *world) { cancelledList(t, w, &l, "too slow") }
		tests[l.name+" in the body"] = func(t *testing.T, w *world) { cancelledList(t, w, &l, "too slow in its body") }
		tests[l.name+" before a pause"] = func(t *testing.T, w *world) { cancelledList(t, w, &l, "500") }
	}
	for name, test := range tests {
		before := goleak.IgnoreCurrent()
		t.Run(name, func(t *testing.T) {
			test(t, s.open(t, s.plain(), func(o *extract.Options) {
				// A source that ignores the context fails soon.
				o.Timeout, o.RetryBudget = 5*time.Second, time.Nanosecond
			}))
		})
		if err := goleak.Find(before); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cancelled ends the context once the second page is asked for.
func (s *Suite) cancelled(t *testing.T, w *world, trouble string) {
	w.cloud.records = spread("r", noon, 3*s.PageSize)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.cancelAt(2, trouble, cancel)
	pages, err := read(ctx, w.source, w.hour())
	if !errors.Is(err, errStop) || err.Error() != errStop.Error() || len(pages) != 1 {
		t.Errorf("%d pages, then %v", len(pages), err)
	}
	if n := w.underWay.Load(); n != 0 {
		t.Errorf("%d calls are left under way", n)
	}
	if _, err := list(ctx, w.source); !errors.Is(err, errStop) {
		t.Errorf("functions: %v", err)
	}
	if n := w.calls.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
}

// cancelAt breaks the answers from the n-th call on, and ends the context during that
// call.
func (w *world) cancelAt(nth int64, trouble string, cancel context.CancelCauseFunc) {
	w.breakAnswers(trouble, w.suite.plain(), func(n int64, _ *http.Request) bool {
		if n >= nth {
			time.AfterFunc(10*time.Millisecond, func() { cancel(errStop) })
		}
		return n >= nth
	})
	if trouble != "500" {
		return
	}
	w.disturb = func(n int64, answer http.ResponseWriter, _ *http.Request) bool {
		if n >= nth {
			answer.WriteHeader(http.StatusInternalServerError)
			cancel(errStop)
		}
		return n >= nth
	}
}

// cancelledList does the same with a list that only some sources have.
func cancelledList(t *testing.T, w *world, l *listing, trouble string) {
	l.fill(w.cloud, 2*l.page+1)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.cancelAt(l.later(), trouble, cancel)
	for range 2 { // after the context's end, no further call is made
		if err := l.read(ctx, w.source).err; !errors.Is(err, errStop) || err.Error() != errStop.Error() {
			t.Errorf("%s: %v", l.name, err)
		}
	}
	if n := w.calls.Load(); n != l.later() {
		t.Errorf("%d calls", n)
	}
	if n := w.underWay.Load(); n != 0 {
		t.Errorf("%d calls are left under way", n)
	}
}

func (s *Suite) cancelledBefore(t *testing.T, w *world) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	if _, err := read(ctx, w.source, w.hour()); !errors.Is(err, errStop) || w.calls.Load() != 0 {
		t.Errorf("%v after %d calls", err, w.calls.Load())
	}
}

// stopReading stops reading after the second page, while calls for later pages are under
// way if the source makes such calls.
func (s *Suite) stopReading(t *testing.T, w *world) {
	w.cloud.records = spread("r", noon, 6*s.PageSize)
	if _, err := read(t.Context(), w.source, w.hour()); err != nil {
		t.Fatal(err)
	}
	second := w.cloud.questions()[1].Offset
	if second == 0 {
		t.Fatal("the second page is asked for where the first began")
	}
	w = s.open(t, s.plain())
	w.cloud.records = spread("r", noon, 6*s.PageSize)
	hanging := w.hang(second)
	q := w.hour()
	left := 3
	q.Ahead = func() bool { left--; return left >= 0 }
	n := 0
	for page, err := range w.source.Pages(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n < 2 {
			continue
		}
		for range page.Ahead {
			select {
			case <-hanging:
			case <-time.After(patience):
				t.Fatalf("%d pages are ahead, and not all of them were asked for", page.Ahead)
			}
		}
		break
	}
	if n := w.underWay.Load(); n != 0 {
		t.Errorf("%d calls are left under way", n)
	}
}

// hang gives no answer to calls for pages beyond an offset, and sends a value for each
// such call. It learns from the cloud what a call asks for: calls may have the same
// URL, and differ in their bodies or in the time of their signature.
func (w *world) hang(beyond int) (hanging <-chan struct{}) {
	var mu sync.Mutex
	cloud, told := w.suite.plain().Handler(w.cloud), make(chan struct{}, 100)
	w.disturb = func(_ int64, answer http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		before := len(w.cloud.questions())
		recorded := httptest.NewRecorder()
		cloud.ServeHTTP(recorded, r)
		asked := w.cloud.questions()[before:]
		mu.Unlock()
		if len(asked) > 0 && asked[0].Offset > beyond {
			told <- struct{}{}
			<-r.Context().Done()
			return true
		}
		maps.Copy(answer.Header(), recorded.Header())
		answer.WriteHeader(recorded.Code)
		_, _ = answer.Write(recorded.Body.Bytes())
		return true
	}
	return told
}
