package conformance

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// checkAll checks that a list has the wanted elements, each once, and no others.
func (l *listing) checkAll(t *testing.T, got listResult, want []string) {
	t.Helper()
	if got.err != nil {
		t.Errorf("%s: %v", l.name, got.err)
	}
	if !slices.Equal(got.got, want) {
		t.Errorf("%d %s, want %d: %s", len(got.got), l.name, len(want), firstDifferences(got.got, want))
	}
}

// Every element of a list is read, with every combination of counts and markers.
func (s *Suite) listPaging(t *testing.T, l *listing) {
	p := l.page
	sizes := []int{0, 1, 10, 250}
	if p > 0 {
		sizes = append(sizes, p-1, p, p+1, 2*p, 2*p+1)
	}
	for i := range s.Ways {
		way := &s.Ways[i]
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			for _, n := range sizes {
				w := s.open(t, way)
				want := l.fill(w.cloud, n)
				got := l.read(t.Context(), w.source)
				l.checkAll(t, got, want)
				if p > 0 && w.calls.Load() < int64((n+p-1)/p) {
					t.Errorf("%d %s by %d calls, where pages are of %d", n, l.name, w.calls.Load(), p)
				}
				for _, count := range got.counts {
					if way.Counts && count != n {
						t.Errorf("a page counts %d of %d %s", count, n, l.name)
					}
				}
			}
		})
	}
}

// A fault that passes is retried, and no element is missing in the end. A fault that
// does not pass is an error.
func (s *Suite) listFaults(t *testing.T, l *listing) {
	nth := l.later()
	for _, name := range slices.Sorted(maps.Keys(brokenAnswers)) {
		quick := func(o *extract.Options) {
			if strings.HasPrefix(name, "too slow") {
				o.Timeout = 300 * time.Millisecond
			}
		}
		// JSON of another form may mean that the cloud has no such list.
		unlisted := func(err error) bool {
			return (name == "another's JSON" || name == "nothing in it") && l.none != nil && errors.Is(err, archive.ErrNoVersions)
		}
		t.Run(name+", once", func(t *testing.T) {
			t.Parallel()
			w := s.open(t, s.plain(), quick)
			want := l.fill(w.cloud, 2*l.page+1)
			w.breakAnswers(name, s.plain(), func(n int64, _ *http.Request) bool { return n == nth })
			got := l.read(t.Context(), w.source)
			if !unlisted(got.err) {
				l.checkAll(t, got, want)
			}
			if w.calls.Load() < nth {
				t.Errorf("%d calls: none met it", w.calls.Load())
			}
		})
		t.Run(name+", for good", func(t *testing.T) {
			t.Parallel()
			w := s.open(t, s.plain(), quick)
			l.fill(w.cloud, 2*l.page+1)
			w.breakAnswers(name, s.plain(), func(n int64, _ *http.Request) bool { return n >= nth })
			err := l.read(t.Context(), w.source).err
			s.checkError(t, err)
			if unlisted(err) {
				return
			}
			if err == nil || errors.Is(err, archive.ErrGone) || errors.Is(err, archive.ErrDenied) || errors.Is(err, archive.ErrNoVersions) {
				t.Errorf("%s: %v", l.name, err)
			}
			if n := w.calls.Load(); n < 3 || n > 30 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// later returns the number of a call for the list: the second one, or the first if the
// list has a single page.
func (l *listing) later() int64 {
	if l.page > 0 {
		return 2
	}
	return 1
}

// Refused credentials are ErrDenied, and no error shows them.
func (s *Suite) listDenied(t *testing.T, l *listing) {
	for _, refusal := range s.Denied {
		w := s.open(t, s.plain())
		w.refuse(t, refusal)
		err := l.read(t.Context(), w.source).err
		if !errors.Is(err, archive.ErrDenied) || w.calls.Load() != refusal.calls() {
			t.Errorf("%s, %d: %v after %d calls", l.name, refusal.Status, err, w.calls.Load())
		}
		s.checkError(t, err)
	}
}

// A list of a function that the cloud does not know is ErrGone; settings may also be
// an empty list. A cloud without such a list is ErrNoVersions, and a wrong address is
// another error.
func (s *Suite) listGone(t *testing.T, l *listing) {
	refused := func(r Refusal) listResult {
		w := s.open(t, s.plain())
		w.refuse(t, r)
		got := l.read(t.Context(), w.source)
		s.checkError(t, got.err)
		if n := w.calls.Load(); n != 1 || len(got.got) > 0 {
			t.Errorf("%d: %d %s after %d calls", r.Status, len(got.got), l.name, n)
		}
		return got
	}
	if err := refused(s.Gone).err; !errors.Is(err, archive.ErrGone) && (err != nil || l.name != "settings") {
		t.Errorf("%s of none: %v", l.name, err)
	}
	for _, r := range s.Elsewhere {
		if err := refused(r).err; err == nil || errors.Is(err, archive.ErrGone) || !strings.Contains(err.Error(), fmt.Sprint(r.Status)) {
			t.Errorf("%s, %d %s: %v", l.name, r.Status, r.Body, err)
		}
	}
	for _, r := range l.none {
		if err := refused(r).err; !errors.Is(err, archive.ErrNoVersions) || errors.Is(err, archive.ErrGone) {
			t.Errorf("%s that are no list, %d %s: %v", l.name, r.Status, r.Body, err)
		}
	}
}

// An element that no row can hold does not affect other elements. A version without a
// name is an error, because its records cannot be asked for. A setting is rejected,
// and kept as the source sent it. An alias is left out.
func (s *Suite) listUnusable(t *testing.T, l *listing) {
	w := s.open(t, s.plain())
	want := l.fill(w.cloud, 2*l.page+10)
	l.raw(w.cloud, l.unusable)
	got := l.read(t.Context(), w.source)
	s.checkError(t, got.err)
	if l.name == "versions" {
		if got.err == nil || errors.Is(got.err, archive.ErrGone) || errors.Is(got.err, archive.ErrDenied) || errors.Is(got.err, archive.ErrNoVersions) {
			t.Errorf("%d of %d versions have no name, and the error is %v", len(l.unusable), len(want)+len(l.unusable), got.err)
		}
		got.err = nil
	}
	l.checkAll(t, got, want)
	if l.name != "settings" {
		return
	}
	for _, raw := range l.unusable {
		at := slices.IndexFunc(got.rejected, func(r archive.Rejected) bool { return sameJSON(t, r.Payload, raw) })
		if at < 0 || got.rejected[at].Reason == "" {
			t.Errorf("%s is not kept with a reason", raw)
		}
	}
}
