package extract_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/extract"
)

// A nonceServer closes some kept connections when the next request has arrived, and knows
// the nonces of all requests.
type nonceServer struct {
	*httptest.Server
	closes func(n int) bool // whether the connection of the nth request, from 0, is closed

	mu     sync.Mutex
	nonces []string
	bodies int // requests that seem to have a body
}

type connectionKey struct{}

func newNonceServer(t *testing.T, closes func(n int) bool) *nonceServer {
	s := &nonceServer{closes: closes}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.Config.ErrorLog = quiet()
	s.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, new(atomic.Int64))
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *nonceServer) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := len(s.nonces)
	s.nonces = append(s.nonces, r.Header.Get("Nonce"))
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 || r.Header.Get("Content-Length") != "" {
		s.bodies++
	}
	s.mu.Unlock()
	kept := r.Context().Value(connectionKey{}).(*atomic.Int64).Add(1) > 1
	if kept && s.closes(n) {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, "good")
}

// signed makes calls whose every attempt has a nonce of its own.
func signed(url string) func(http.RoundTripper) error {
	var nonce atomic.Int64
	return func(transport http.RoundTripper) error {
		return get(url, http.Header{"Nonce": {fmt.Sprint(url, nonce.Add(1))}})(transport)
	}
}

// A request that a kept connection has lost is signed again, at once, and net/http sends
// none by itself. That costs no try, and the source has not failed.
func TestRequestsAreNotReplayed(t *testing.T) {
	t.Parallel()
	s := newNonceServer(t, func(n int) bool { return n%2 == 1 })
	clock := newClock()
	c := newCaller(t, clock, extract.Options{})
	call := signed(s.URL)
	for range 50 {
		if err := c.Do(extract.WithCall(t.Context(), extract.Call{Tries: 1}), call); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.nonces)
	if all := len(s.nonces); all < 75 || len(slices.Compact(s.nonces)) != all {
		t.Errorf("a nonce came twice: %q", s.nonces)
	}
	if got := c.Stats(); got.Calls != int64(len(s.nonces)) || got.Refused != 0 {
		t.Errorf("%+v for %d requests", got, len(s.nonces))
	}
	if s.bodies > 0 {
		t.Errorf("%d requests have a body", s.bodies)
	}
	if waited := clock.Now().Sub(noon); waited != 0 {
		t.Errorf("waited %v", waited)
	}
}

// A server that closes every connection fails a call.
func TestLostConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newNonceServer(t, func(n int) bool { return n > 0 })
	clock := newClock()
	lost := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	lost.Config.ErrorLog = quiet()
	lost.Start()
	t.Cleanup(lost.Close)
	c := newCaller(t, clock, extract.Options{})
	for range 10 { // each second request loses its connection, and gets a new one
		if err := c.Do(t.Context(), signed(s.URL)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Do(extract.WithCall(t.Context(), extract.Call{Tries: 2}), signed(lost.URL)); err == nil || c.Stats().Calls > 25 {
		t.Errorf("%v after %d calls", err, c.Stats().Calls)
	}
}

// A nonce that the source has seen is a matter of the signature, not of the call: another
// attempt has another nonce.
func TestNonceUsed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"Code":"SignatureNonceUsed","Message":"no"}`, `{"code":"SignatureNonceUsed"}`} {
		var nonces []string
		url := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
			nonces = append(nonces, r.Header.Get("Nonce"))
			if n < 2 {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, body)
				return
			}
			fmt.Fprint(w, "good")
		})
		clock := newClock()
		c := newCaller(t, clock, extract.Options{})
		if err := c.Do(t.Context(), signed(url)); err != nil || len(nonces) != 3 || nonces[1] == nonces[2] {
			t.Errorf("%v after %q", err, nonces)
		}
		if waited := clock.Now().Sub(noon); waited > 3*time.Second {
			t.Errorf("waited %v", waited)
		}
	}
}
