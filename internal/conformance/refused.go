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

// refuse makes the cloud answer every call with a refusal that repeats the
// call, and with it what authenticates it.
func (w *world) refuse(t *testing.T, r Refusal) {
	w.disturb = func(_ int64, answer http.ResponseWriter, request *http.Request) bool {
		said := sent(t, request)
		// Of a long message the source may show only the beginning.
		slices.SortStableFunc(said, func(a, b string) int {
			if a, b := w.suite.secret(a), w.suite.secret(b); a != b {
				return map[bool]int{true: -1, false: 1}[a]
			}
			return cmp.Compare(len(a), len(b))
		})
		if !w.suite.secret(said[0]) {
			t.Errorf("none of the Secrets is in the call, so that no error could show it: %q", said)
		}
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(r.Status)
		fmt.Fprintf(answer, r.Body, strings.Join(said, " "))
		return true
	}
}

// sent is what a call consists of: its headers, its URL, as a whole and by its
// parts, as they are and decoded, and its body.
func sent(t *testing.T, r *http.Request) []string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	said := []string{r.URL.String(), string(body)}
	for _, part := range strings.Split(r.URL.RawQuery, "&") {
		decoded, err := url.QueryUnescape(part)
		if err != nil {
			t.Error(err)
		}
		said = append(said, part, decoded)
	}
	for _, values := range r.Header {
		said = append(said, values...)
	}
	slices.Sort(said)
	return slices.Compact(said)
}

// secret reports whether a text shows one of the secrets.
func (s *Suite) secret(text string) bool {
	return slices.ContainsFunc(s.Secrets, func(secret string) bool { return strings.Contains(text, secret) })
}

// Credentials that are refused are ErrDenied, at once, and are not shown.
func (s *Suite) denied(t *testing.T) {
	for _, refusal := range s.Denied {
		w := s.open(t, s.plain())
		w.refuse(t, refusal)
		_, err := read(t.Context(), w.source, w.hour())
		if !errors.Is(err, archive.ErrDenied) {
			t.Errorf("invocations, %d: %v", refusal.Status, err)
		}
		s.fit(t, err)
		_, err = list(t.Context(), w.source)
		if !errors.Is(err, archive.ErrDenied) {
			t.Errorf("functions, %d: %v", refusal.Status, err)
		}
		s.fit(t, err)
		if n := w.calls.Load(); n != 2 {
			t.Errorf("%d calls for what two had to be told", n)
		}
	}
}

// A function that the cloud does not know is ErrGone; a wrong address is not.
func (s *Suite) gone(t *testing.T) {
	w := s.open(t, s.plain())
	w.refuse(t, s.Gone)
	_, err := read(t.Context(), w.source, w.hour())
	if !errors.Is(err, archive.ErrGone) || w.calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, w.calls.Load())
	}
	s.fit(t, err)
	// What lists functions knows of none that could be gone.
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
		s.fit(t, err)
	}
}

// What the source says of its calls is what the cloud saw of them.
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
	if got, want := w.source.Stats(), (archive.SourceStats{Calls: w.calls.Load(), Refused: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
