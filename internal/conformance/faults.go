package conformance

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// brokenAnswers are the ways in which a call may fail. whole is the cloud's right answer.
var brokenAnswers = map[string]func(w http.ResponseWriter, r *http.Request, whole []byte){
	"429": func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusTooManyRequests) },
	"500": func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusInternalServerError) },
	"502 with a page": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<html>\n<body>bad gateway</body>")
	},
	"reset": func(http.ResponseWriter, *http.Request, []byte) { panic(http.ErrAbortHandler) },
	"cut short": func(w http.ResponseWriter, _ *http.Request, whole []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		_, _ = w.Write(whole[:len(whole)/2])
		w.(http.Flusher).Flush() // else not even the first half is sent
		panic(http.ErrAbortHandler)
	},
	"half as if whole": func(w http.ResponseWriter, _ *http.Request, whole []byte) { _, _ = w.Write(whole[:len(whole)/2]) },
	"more than whole":  func(w http.ResponseWriter, _ *http.Request, whole []byte) { _, _ = w.Write(append(whole, "}x"...)) },
	"empty":            func(http.ResponseWriter, *http.Request, []byte) {},
	"not JSON":         func(w http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(w, "<html>\nhello") },
	"another's JSON":   func(w http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(w, `{"hello":"world"}`) },
	"nothing in it":    func(w http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(w, `{}`) },
	"too slow":         func(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() },
	"too slow in its body": func(w http.ResponseWriter, r *http.Request, whole []byte) {
		_, _ = w.Write(whole[:len(whole)/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	},
}

// trouble makes calls meet one of the troubles: those that meets picks.
func (w *world) breakAnswers(name string, way *Way, meets func(n int64, r *http.Request) bool) {
	cloud := way.Handler(w.cloud)
	w.disturb = func(n int64, answer http.ResponseWriter, r *http.Request) bool {
		if !meets(n, r) {
			return false
		}
		recorded := httptest.NewRecorder()
		cloud.ServeHTTP(recorded, r)
		brokenAnswers[name](answer, r, recorded.Body.Bytes())
		return true
	}
}

// A fault that passes is retried, and no record is missing in the end. A fault that
// does not pass is an error after a few tries. The pages before it are yielded.
func (s *Suite) faults(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(brokenAnswers)) {
		quick := func(o *extract.Options) {
			if strings.HasPrefix(name, "too slow") {
				o.Timeout = 300 * time.Millisecond
			}
		}
		t.Run(name+", once", func(t *testing.T) {
			t.Parallel()
			w := s.open(t, s.plain(), quick)
			w.cloud.records = spread("r", noon, 2*s.PageSize+1)
			w.breakAnswers(name, s.plain(), func(n int64, _ *http.Request) bool { return n == 2 })
			pages, err := read(t.Context(), w.source, w.hour())
			if err != nil || w.calls.Load() != int64(len(pages))+1 {
				t.Fatalf("%d pages by %d calls: %v", len(pages), w.calls.Load(), err)
			}
			checkRecords(t, pages, w.cloud.records)
			w = s.open(t, s.plain(), quick)
			w.breakAnswers(name, s.plain(), func(n int64, _ *http.Request) bool { return n == 1 })
			all, err := list(t.Context(), w.source)
			if err != nil || len(all) != 1 || w.calls.Load() != 2 {
				t.Errorf("%d functions by %d calls, %v", len(all), w.calls.Load(), err)
			}
		})
		t.Run(name+", for good", func(t *testing.T) {
			t.Parallel()
			w := s.open(t, s.plain(), quick)
			w.cloud.records = spread("r", noon, 2*s.PageSize+1)
			w.breakAnswers(name, s.plain(), func(n int64, _ *http.Request) bool { return n > 1 })
			pages, err := read(t.Context(), w.source, w.hour())
			if err == nil || len(pages) != 1 || errors.Is(err, errEnded) || errors.Is(err, archive.ErrGone) || errors.Is(err, archive.ErrDenied) {
				t.Errorf("%d pages, then %v", len(pages), err)
			}
			s.checkError(t, err)
			if n := w.calls.Load(); n < 3 || n > 30 {
				t.Errorf("%d calls", n)
			}
		})
	}
}
