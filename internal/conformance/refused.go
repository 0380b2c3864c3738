package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"archiver/internal/archive"
)

// refuse makes the cloud answer every call with a refusal that repeats the call and its
// credentials.
func (w *world) refuse(t *testing.T, r Refusal) {
	w.disturb = func(_ int64, answer http.ResponseWriter, request *http.Request) bool {
		parts := sent(t, request)
		// Secrets come first: a source may show only the beginning of a long message.
		slices.SortStableFunc(parts, func(a, b string) int {
			if a, b := w.suite.secret(a), w.suite.secret(b); a != b {
				return map[bool]int{true: -1, false: 1}[a]
			}
			return cmp.Compare(len(a), len(b))
		})
		if !w.suite.secret(parts[0]) {
			t.Errorf("none of the Secrets is in the call, so that no error could show it: %q", parts)
		}
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(r.Status)
		fmt.Fprintf(answer, r.Body, strings.Join(parts, " "))
		return true
	}
}

// sent returns the parts of a call: its URL, its body, the parameters of its URL as sent
// and decoded, and the values of its headers.
func sent(t *testing.T, r *http.Request) []string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	parts := []string{r.URL.String(), string(body)}
	for _, part := range strings.Split(r.URL.RawQuery, "&") {
		decoded, err := url.QueryUnescape(part)
		if err != nil {
			t.Error(err)
		}
		parts = append(parts, part, decoded)
	}
	for _, values := range r.Header {
		parts = append(parts, values...)
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

// secret reports whether a text has one of the secrets.
func (s *Suite) secret(text string) bool {
	return slices.ContainsFunc(s.Secrets, func(secret string) bool { return strings.Contains(text, secret) })
}

// Refused credentials are ErrDenied after one call, or after two if the refusal is a 401,
// which may be a stray one. No error shows them.
func (s *Suite) denied(t *testing.T) {
	for _, refusal := range s.Denied {
		w := s.open(t, s.plain())
		w.refuse(t, refusal)
		_, err := read(t.Context(), w.source, w.hour())
		if !errors.Is(err, archive.ErrDenied) {
			t.Errorf("invocations, %d: %v", refusal.Status, err)
		}
		s.checkError(t, err)
		_, err = list(t.Context(), w.source)
		if !errors.Is(err, archive.ErrDenied) {
			t.Errorf("functions, %d: %v", refusal.Status, err)
		}
		s.checkError(t, err)
		if n := w.calls.Load(); n != 2*refusal.calls() {
			t.Errorf("%d calls for what two had to be told, %d", n, refusal.Status)
		}
	}
}

// calls returns how often a call is made that is refused. A 401 may be a stray one.
func (r Refusal) calls() int64 {
	if r.Status == http.StatusUnauthorized {
		return 2
	}
	return 1
}

// A function that the cloud does not know is ErrGone. A wrong address is another error.
func (s *Suite) gone(t *testing.T) {
	w := s.open(t, s.plain())
	w.refuse(t, s.Gone)
	_, err := read(t.Context(), w.source, w.hour())
	if !errors.Is(err, archive.ErrGone) || w.calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, w.calls.Load())
	}
	s.checkError(t, err)
	// The list of functions concerns no single function that could be gone.
	if _, err := list(t.Context(), w.source); err == nil || errors.Is(err, archive.ErrGone) {
		t.Errorf("functions: %v", err)
	}
	for _, refusal := range s.Elsewhere {
		w := s.open(t, s.plain())
		w.refuse(t, refusal)
		_, err := read(t.Context(), w.source, w.hour())
		if err == nil || errors.Is(err, archive.ErrGone) || !strings.Contains(err.Error(), fmt.Sprint(refusal.Status)) {
			t.Errorf("%d %s: %v", refusal.Status, refusal.Body, err)
		}
		s.checkError(t, err)
	}
}

// The source's statistics are the numbers of calls that the cloud received.
func (s *Suite) stats(t *testing.T) {
	w := s.open(t, s.plain())
	w.cloud.records = spread("r", noon, 3*s.PageSize+1)
	w.disturb = func(n int64, answer http.ResponseWriter, _ *http.Request) bool {
		switch n {
		case 2, 3:
			answer.WriteHeader(http.StatusTooManyRequests)
		case 5:
			answer.WriteHeader(http.StatusInternalServerError)
		default:
			return false
		}
		return true
	}
	if _, err := read(t.Context(), w.source, w.hour()); err != nil {
		t.Fatal(err)
	}
	if _, err := list(t.Context(), w.source); err != nil {
		t.Fatal(err)
	}
	if got, want := w.source.Stats(), w.calls.Load(); got.Calls != want || got.Refused != 2 || got.Answered == 0 || got.Answered > want-2 {
		t.Errorf("%+v, want %d calls, 2 of them refused", got, want)
	}
}
