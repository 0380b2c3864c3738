package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"archiver/internal/archive"
)

// Codes are the cloud's codes for errors. An answer may have one of them in its envelope,
// next to a status of success.
type Codes struct{ Throttled, Failing, Denied, Gone string }

// envelopeNames are the names under which clouds and their gateways write the code and the
// message of an error. Each source has to know all of them.
var envelopeNames = [][2]string{
	{"error_code", "error_msg"}, {"errorCode", "errorMessage"}, {"ErrorCode", "ErrorMessage"}, {"code", "message"}, {"Code", "Message"},
}

// An error in the envelope of a 200 is that error, with or without the list.
func (s *Suite) envelopes(t *testing.T) {
	for _, names := range envelopeNames {
		for _, withList := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, list %t", names[0], withList), func(t *testing.T) {
				t.Parallel()
				s.envelope(t, names, withList)
			})
		}
	}
	t.Run("success", s.envelopeOfSuccess)
}

func (s *Suite) envelope(t *testing.T, names [2]string, withList bool) {
	// broken opens a source whose calls from the n-th to the last are answered with a code.
	broken := func(code string, from, to int64) *world {
		w := s.open(t, s.plain())
		w.cloud.records = spread("r", noon, 2*s.PageSize+1)
		w.wrap(func(n int64) string {
			if n < from || n > to {
				return ""
			}
			return fmt.Sprintf(`%q:%q,%q:"it went wrong"`, names[0], code, names[1])
		}, withList)
		return w
	}
	const forGood = 1 << 30
	for _, code := range []string{s.Codes.Throttled, s.Codes.Failing} {
		w := broken(code, 2, 2)
		pages, err := read(t.Context(), w.source, w.hour())
		if err != nil || w.calls.Load() != int64(len(pages))+1 {
			t.Errorf("%s, once: %d pages by %d calls, %v", code, len(pages), w.calls.Load(), err)
		}
		checkRecords(t, pages, w.cloud.records)
		refused := int64(0)
		if code == s.Codes.Throttled {
			refused = 1
		}
		if got := w.source.Stats().Refused; got != refused {
			t.Errorf("%s: %d calls were refused, want %d", code, got, refused)
		}
	}
	for code, want := range map[string]error{s.Codes.Failing: nil, s.Codes.Denied: archive.ErrDenied, s.Codes.Gone: archive.ErrGone} {
		w := broken(code, 1, forGood)
		_, err := read(t.Context(), w.source, w.hour())
		denied, gone := errors.Is(err, archive.ErrDenied), errors.Is(err, archive.ErrGone)
		if err == nil || denied != errors.Is(want, archive.ErrDenied) || gone != errors.Is(want, archive.ErrGone) || !strings.Contains(err.Error(), code) {
			t.Errorf("%s, for good: %v", code, err)
		}
		s.checkError(t, err)
		if _, err := list(t.Context(), w.source); err == nil || errors.Is(err, archive.ErrDenied) != errors.Is(want, archive.ErrDenied) {
			t.Errorf("%s, functions: %v", code, err)
		}
	}
}

// An envelope that says that nothing went wrong is no error.
func (s *Suite) envelopeOfSuccess(t *testing.T) {
	t.Parallel()
	for _, members := range []string{`"error_code":0,"error_msg":""`, `"errorCode":null`, `"code":"OK","message":"fine"`, `"code":200`} {
		w := s.open(t, s.plain())
		w.cloud.records = spread("r", noon, 2*s.PageSize+1)
		w.wrap(func(int64) string { return members }, true)
		pages, err := read(t.Context(), w.source, w.hour())
		if err != nil {
			t.Errorf("%s: %v", members, err)
		}
		checkRecords(t, pages, w.cloud.records)
		if all, err := list(t.Context(), w.source); err != nil || len(all) != 1 {
			t.Errorf("%s: %d functions, %v", members, len(all), err)
		}
	}
}

// wrap adds members to the cloud's answers, which are objects, or puts an object with
// these members in their place. The members of the n-th answer may be empty: then the
// answer is as it was.
func (w *world) wrap(members func(n int64) string, withList bool) {
	cloud := w.suite.plain().Handler(w.cloud)
	w.disturb = func(n int64, answer http.ResponseWriter, r *http.Request) bool {
		added := members(n)
		if added == "" {
			return false
		}
		recorded := httptest.NewRecorder()
		cloud.ServeHTTP(recorded, r)
		rest := []byte("}")
		if withList {
			rest = append([]byte(","), bytes.TrimPrefix(bytes.TrimSpace(recorded.Body.Bytes()), []byte("{"))...)
		}
		answer.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(answer, "{%s%s", added, rest)
		return true
	}
}

// Times that stand for "none" are no times, and are kept as they came.
func (s *Suite) sentinels(t *testing.T) {
	w := s.open(t, s.plain())
	for i, raw := range s.Sentinels {
		w.cloud.records = append(w.cloud.records, Record{Start: noon, Raw: fmt.Sprintf(raw, fmt.Sprint("r-", i))})
	}
	pages, err := read(t.Context(), w.source, w.hour())
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for i := range pages {
		for _, inv := range pages[i].Invocations {
			seen[inv.RequestID] = true
			if !inv.Start.IsZero() || !inv.End.IsZero() || len(inv.Extra) == 0 {
				t.Errorf("%s: from %v to %v, extra %s", inv.RequestID, inv.Start, inv.End, inv.Extra)
			}
		}
	}
	if len(seen) != len(s.Sentinels) {
		t.Errorf("%d records of %d", len(seen), len(s.Sentinels))
	}
}

// A list of functions that is not whole ends with a ListError, after all functions that
// came.
func (s *Suite) wholeList(t *testing.T) {
	fill := func(w *world, n int) {
		w.cloud.functions = nil
		for i := range n {
			w.cloud.functions = append(w.cloud.functions, s.Function(i))
		}
	}
	for _, trouble := range []string{"500", "half as if whole"} {
		w := s.open(t, s.plain())
		fill(w, s.FunctionPage+1)
		w.breakAnswers(trouble, s.plain(), func(n int64, _ *http.Request) bool { return n == 2 })
		if all, err := list(t.Context(), w.source); err != nil || len(all) != s.FunctionPage+1 {
			t.Errorf("%s, once: %d functions, %v", trouble, len(all), err)
		}
		w = s.open(t, s.plain())
		fill(w, s.FunctionPage+1)
		w.breakAnswers(trouble, s.plain(), func(n int64, _ *http.Request) bool { return n > 1 })
		s.checkNotWhole(t, w, s.FunctionPage, -1)
	}
	for i := range s.Ways {
		if !s.Ways[i].Counts {
			continue
		}
		w := s.open(t, &s.Ways[i])
		fill(w, 3)
		w.cloud.hidden = 2
		s.checkNotWhole(t, w, 3, 5)
	}
}

func (s *Suite) checkNotWhole(t *testing.T, w *world, listed, counted int) {
	t.Helper()
	all, err := list(t.Context(), w.source)
	var notWhole *archive.ListError
	if !errors.As(err, &notWhole) || len(all) != listed || notWhole.Listed != listed || counted >= 0 && notWhole.Counted != counted {
		t.Errorf("%d functions of a list that is not whole, then %v", len(all), err)
	}
	s.checkError(t, err)
}
