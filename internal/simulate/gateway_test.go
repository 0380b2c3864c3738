package simulate_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

const listPath = "/v2/" + projectID + "/fgs/functions"

// A limit of calls in a second, and in a minute.
func TestRateFaults(t *testing.T) {
	t.Parallel()
	d := generate(t, 2, 100)
	accepted := func(h http.Handler, now *clock, calls int, pause time.Duration) (n int, last *httptest.ResponseRecorder) {
		for range calls {
			w := get(h, listPath)
			if w.Code == 200 {
				n++
			} else {
				last = w
			}
			now.Set(now.Now().Add(pause))
		}
		return n, last
	}
	s, now := faulty(t, d, "per-second=3,per-minute=10")
	if n, last := accepted(s, now, 10, 0); n != 3 || last.Code != 429 || last.Header().Get("Retry-After") != "1" {
		t.Errorf("%d calls in a second, %+v", n, last)
	}
	now.Set(now.Now().Add(time.Second))
	if n, last := accepted(s, now, 50, time.Second); n != 7 || last.Header().Get("Retry-After") == "" {
		t.Errorf("%d more calls in a minute, %+v", n, last)
	}
	now.Set(now.Now().Add(time.Minute).Truncate(time.Minute))
	if n, _ := accepted(s, now, 50, time.Second); n != 10 {
		t.Errorf("%d calls in the next minute", n)
	}

	s, now = faulty(t, d, "per-minute=10,throttle=message")
	if n, last := accepted(s, now, 20, 0); n != 10 || !strings.Contains(last.Body.String(), "limit:10,time:1 minute") || last.Header().Get("Retry-After") != "" {
		t.Errorf("%d calls, %+v", n, last)
	}
	s, now = faulty(t, d, "first-429=2,throttle=bare")
	if n, last := accepted(s, now, 9, 0); n != 7 || last.Code != 429 || last.Header().Get("Retry-After") != "" {
		t.Errorf("%d calls, %+v", n, last)
	}
	w := getCompute(s, computePrefix+"stateful-async-invocation-functions", "n", now.Now())
	if w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	// One function is limited, and only in its own calls.
	s, now = faulty(t, d, "per-second=2,only=0.5")
	if n, _ := accepted(s, now, 9, 0); n != 9 {
		t.Errorf("%d calls for the list", n)
	}
	var answered []int
	for function := range s.Functions() {
		n := 0
		for range 9 {
			if askDay(s, function, 0, all, "").Code == 200 {
				n++
			}
		}
		answered = append(answered, n)
	}
	if min(answered[0], answered[1]) != 2 || max(answered[0], answered[1]) != 9 {
		t.Errorf("answered calls of the two functions: %d", answered)
	}
}

// A signature is accepted once.
func TestSignedOnce(t *testing.T) {
	t.Parallel()
	s, now := faulty(t, generate(t, 1, 10), "signed-once")
	const list = computePrefix + "stateful-async-invocation-functions"
	for n, want := range []int{200, 400} {
		if w := getCompute(s, list, "once", now.Now()); w.Code != want || want == 400 && !strings.Contains(w.Body.String(), `"SignatureNonceUsed"`) {
			t.Errorf("call %d: %d %s", n+1, w.Code, w.Body)
		}
	}
	if w := getCompute(s, list, "twice", now.Now()); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	// The SDK's signature has the time in seconds.
	sdk, h := serve(t, generate(t, 1, 10), with(t, "signed-once"))
	var kept *http.Request
	c := client(t, h.URL, secretKey, roundTripper(func(r *http.Request) { kept = r }))
	if len(walk(t, c, sdk.Functions()[0].URN)) == 0 || kept == nil {
		t.Fatal("nothing was read")
	}
	again := httptest.NewRequest(http.MethodGet, kept.URL.RequestURI(), nil)
	again.Header = kept.Header
	w := httptest.NewRecorder()
	sdk.ServeHTTP(w, again)
	if w.Code != 401 || !strings.Contains(w.Body.String(), "APIGW.0301") {
		t.Errorf("the same signature: %d %s", w.Code, w.Body)
	}
}

// The first call of a connection is answered. A later one is not, and the connection
// ends.
func TestKeptClosed(t *testing.T) {
	t.Parallel()
	_, h := serve(t, generate(t, 1, 10), with(t, "kept-closed=1"))
	var calls int
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	web := &http.Client{Transport: transport}
	for range 4 {
		// The client makes a call without a body again by itself, on a new connection.
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+listPath+"?marker="+strconv.Itoa(calls), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", token)
		answer, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("call %d: %d %s, %v", calls, answer.StatusCode, body, err)
		}
		_ = answer.Body.Close()
		calls++
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+listPath, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", token)
	if answer, err := web.Do(r); err == nil {
		_ = answer.Body.Close()
		t.Errorf("a call on a used connection is answered %d", answer.StatusCode)
	}
}
