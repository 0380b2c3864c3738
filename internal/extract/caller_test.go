package extract_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// answers are retryable failures of a source.
var answers = map[string]func(w http.ResponseWriter){
	"429": func(w http.ResponseWriter) { http.Error(w, "", http.StatusTooManyRequests) },
	"429, in 7 s": func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	},
	"429, at a time": func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", noon.Add(9*time.Second).Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	},
	"429, at a past time": func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", noon.Add(-time.Hour).Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	},
	"429, invalid time": func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "soon")
		w.WriteHeader(http.StatusTooManyRequests)
	},
	"503, in 7 s": func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	},
	"408":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestTimeout) },
	"500":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
	"HTML 502": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway); fmt.Fprint(w, "<html>") },
	"reset":    func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	"cut": func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "4")
		fmt.Fprint(w, "go")
		panic(http.ErrAbortHandler)
	},
	"empty":           func(http.ResponseWriter) {},
	"unexpected body": func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
	"500 that is cut": func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "go")
		panic(http.ErrAbortHandler)
	},
}

// Retryable failures are retried, after a pause of the right length.
func TestDoRetries(t *testing.T) {
	t.Parallel()
	least := map[string]time.Duration{
		"429": 2 * time.Second, "429, in 7 s": 7 * time.Second, "429, at a time": 9 * time.Second,
		"429, at a past time": 2 * time.Second, "429, invalid time": 2 * time.Second, "503, in 7 s": 7 * time.Second,
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n == 0 {
					answer(w)
					return
				}
				fmt.Fprint(w, "good")
			})
			clock := newClock()
			// http.Transport itself retries when a reused connection is reset, so
			// the test does not reuse connections.
			c := newCaller(t, clock, extract.Options{Transport: &http.Transport{DisableKeepAlives: true}})
			if err := c.Do(t.Context(), get(url, nil)); err != nil {
				t.Fatal(err)
			}
			from, to := least[name], least[name]*3/2
			if from == 0 {
				from, to = 250*time.Millisecond, 750*time.Millisecond
			}
			if s := clock.sleeps(); len(s) != 1 || s[0] < from || s[0] > to {
				t.Errorf("slept %v, want once from %v to %v", s, from, to)
			}
			var refused int64
			if strings.HasPrefix(name, "429") {
				refused = 1
			}
			if got := c.Stats(); got != (archive.SourceStats{Calls: 2, Refused: refused, Answered: 1}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Do gives up after seven attempts, or after the retry budget, unless the source
// throttles.
func TestDoGivesUp(t *testing.T) {
	t.Parallel()
	for name, answer := range answers {
		if strings.HasPrefix(name, "429") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
			clock := newClock()
			c := newCaller(t, clock, extract.Options{Transport: &http.Transport{DisableKeepAlives: true}, RetryBudget: time.Minute})
			err := c.Do(t.Context(), get(url, nil))
			if err == nil || strings.ContainsAny(err.Error(), "\r\n") || !strings.HasPrefix(err.Error(), "tried ") {
				t.Fatalf("got %v", err)
			}
			calls := c.Stats().Calls
			// A source that has never answered gets five attempts.
			if calls < 5 || calls > 7 {
				t.Errorf("%d calls", calls)
			}
			if spent := clock.Now().Sub(noon); spent > time.Minute {
				t.Errorf("spent %v", spent)
			}
		})
	}
}

// A refusal is final. Only a 401 is tried again, once: it may be a stray one.
func TestDoDoesNotRetryRefusals(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 304, 400, 401, 403, 404, 405, 409, 410, 422} {
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		c := newCaller(t, newClock(), extract.Options{})
		calls := int64(1)
		if status == http.StatusUnauthorized {
			calls = 2
		}
		var got *extract.StatusError
		if err := c.Do(t.Context(), get(url, nil)); !errors.As(err, &got) || got.Status != status || c.Stats().Calls != calls {
			t.Errorf("%d: %v after %d calls", status, err, c.Stats().Calls)
		}
	}
}

// A Retry-After of a day is cut, so that a retry of a failing call fits into the budget.
func TestDoRetryAfterBeyondBudget(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	clock := newClock()
	c := newCaller(t, clock, extract.Options{})
	var got *extract.StatusError
	err := c.Do(t.Context(), get(url, nil))
	if !errors.As(err, &got) || got.RetryAfter != time.Hour || c.Stats().Calls != 2 || clock.Now().Sub(noon) > extract.DefaultRetryBudget {
		t.Errorf("%v after %d calls, slept %v", err, c.Stats().Calls, clock.sleeps())
	}
}

// Call.Tries bounds the attempts, and the pauses between them.
func TestDoTries(t *testing.T) {
	t.Parallel()
	for tries := range 4 {
		url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		clock := newClock()
		c := newCaller(t, clock, extract.Options{})
		err := c.Do(extract.WithCall(t.Context(), extract.Call{Tries: tries}), get(url, nil))
		switch calls := c.Stats().Calls; {
		case err == nil, tries > 0 && calls != int64(tries), tries == 0 && calls < 5:
			t.Errorf("Tries %d: %v after %d calls", tries, err, calls)
		case tries > 0 && clock.Now().Sub(noon) > time.Duration(tries-1)*500*time.Millisecond:
			t.Errorf("Tries %d: slept %v", tries, clock.sleeps())
		}
	}
}

// One stray 401 is tried again, and is no try. For a login, a 401 is final.
func TestDoStrayUnauthorized(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call  extract.Call
		calls int64
	}{"plain": {extract.Call{}, 2}, "one try": {extract.Call{Tries: 1}, 2}, "login": {extract.Call{Login: true}, 1}} {
		url := serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 0 {
				w.WriteHeader(http.StatusUnauthorized)
			}
			fmt.Fprint(w, "good")
		})
		c := newCaller(t, newClock(), extract.Options{})
		err := c.Do(extract.WithCall(t.Context(), test.call), get(url, nil))
		if (err == nil) != (test.calls == 2) || c.Stats().Calls != test.calls {
			t.Errorf("%s: %v after %d calls", name, err, c.Stats().Calls)
		}
	}
}

func TestDoUnreachable(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	c := newCaller(t, newClock(), extract.Options{})
	if err := c.Do(t.Context(), get(s.URL, nil)); err == nil || !strings.Contains(err.Error(), "refused") || c.Answered() {
		t.Errorf("%v, answered %t", err, c.Answered())
	}
}

// An untrusted certificate is not retried.
func TestDoCertificate(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	c := newCaller(t, newClock(), extract.Options{})
	if err := c.Do(t.Context(), get(s.URL, nil)); err == nil || !strings.Contains(err.Error(), "certificate") || c.Stats().Calls != 1 {
		t.Errorf("%v after %d calls", err, c.Stats().Calls)
	}
}

// A fixed rate spreads the calls evenly.
func TestDoRate(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") })
	clock := newClock()
	c := newCaller(t, clock, extract.Options{Rate: 4})
	for range 21 {
		if err := c.Do(t.Context(), get(url, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if took := clock.Now().Sub(noon); took != 5*time.Second {
		t.Errorf("21 calls at 4 a second took %v", took)
	}
}
