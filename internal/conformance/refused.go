package conformance

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"archiver/internal/archive"
)

// refuse makes the cloud answer every call with a refusal that repeats what
// authenticates the call.
func (w *world) refuse(r Refusal) {
	w.disturb = func(_ int64, answer http.ResponseWriter, request *http.Request) bool {
		said := []string{"refused:", request.Header.Get("Authorization")}
		for _, name := range slices.Sorted(maps.Keys(request.Header)) {
			if strings.HasPrefix(name, "X-") {
				said = append(said, request.Header.Get(name))
			}
		}
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(r.Status)
		fmt.Fprintf(answer, r.Body, strings.Join(said, " "))
		return true
	}
}

// Credentials that are refused are ErrDenied, at once, and are not shown.
func (s *Suite) denied(t *testing.T) {
	if len(s.Denied) == 0 {
		t.Fatal("nothing is said of how credentials are refused")
	}
	for _, refusal := range s.Denied {
		w := s.open(t, s.plain())
		w.refuse(refusal)
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
	w.refuse(s.Gone)
	_, err := read(t.Context(), w.source, w.hour())
	if !errors.Is(err, archive.ErrGone) || w.calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, w.calls.Load())
	}
	s.fit(t, err)
	// What lists functions knows of none that could be gone.
	if _, err := list(t.Context(), w.source); err == nil || errors.Is(err, archive.ErrGone) {
		t.Errorf("functions: %v", err)
	}
	if len(s.Elsewhere) == 0 {
		t.Error("nothing is said of what others answer")
	}
	for _, refusal := range s.Elsewhere {
		w := s.open(t, s.plain())
		w.refuse(refusal)
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
