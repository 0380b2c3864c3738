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

// whole checks that a list holds all it should, each element once.
func (l *listing) whole(t *testing.T, got listed, want []string) {
	t.Helper()
	if got.err != nil {
		t.Errorf("%s: %v", l.name, got.err)
	}
	if !slices.Equal(got.got, want) {
		t.Errorf("%d %s, want %d: %s", len(got.got), l.name, len(want), differences(got.got, want))
	}
}

// All of a list is read, for every combination of counts and markers.
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
				l.whole(t, got, want)
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

// What passes is tried again, and nothing is missing in the end; what does not
// pass is an error.
func (s *Suite) listFaults(t *testing.T, l *listing) {
	nth := l.later()
	for _, name := range slices.Sorted(maps.Keys(troubles)) {
		quick := func(o *extract.Options) {
			if strings.HasPrefix(name, "too slow") {
				o.Timeout = 300 * time.Millisecond
			}
		}
		// An answer to another question may be that of a cloud without such a list.
		unlisted := func(err error) bool {
			return name == "another's JSON" && l.none != nil && errors.Is(err, archive.ErrNoVersions)
		}
		t.Run(name+", once", func(t *testing.T) {
			t.Parallel()
			w := s.open(t, s.plain(), quick)
			want := l.fill(w.cloud, 2*l.page+1)
			w.trouble(name, s.plain(), func(n int64, _ *http.Request) bool { return n == nth })
			got := l.read(t.Context(), w.source)
			if !unlisted(got.err) {
				l.whole(t, got, want)
			}
			if w.calls.Load() < nth {
				t.Errorf("%d calls: none met it", w.calls.Load())
			}
		})
		t.Run(name+", for good", func(t *testing.T) {
			t.Parallel()
			w := s.open(t, s.plain(), quick)
			l.fill(w.cloud, 2*l.page+1)
			w.trouble(name, s.plain(), func(n int64, _ *http.Request) bool { return n >= nth })
			err := l.read(t.Context(), w.source).err
			s.fit(t, err)
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

// later is a call for the list that is not the first, where there is one.
func (l *listing) later() int64 {
	if l.page > 0 {
		return 2
	}
	return 1
}

// Credentials that are refused are ErrDenied, at once, and are not shown.
func (s *Suite) listDenied(t *testing.T, l *listing) {
	for _, refusal := range s.Denied {
		w := s.open(t, s.plain())
		w.refuse(t, refusal)
		err := l.read(t.Context(), w.source).err
		if !errors.Is(err, archive.ErrDenied) || w.calls.Load() != 1 {
			t.Errorf("%s, %d: %v after %d calls", l.name, refusal.Status, err, w.calls.Load())
		}
		s.fit(t, err)
	}
}

// Of a function that the cloud does not know there is no list: ErrGone, or, for
// settings, nothing. A cloud that has no such list, and a wrong address, are
// another matter.
func (s *Suite) listGone(t *testing.T, l *listing) {
	refused := func(r Refusal) listed {
		w := s.open(t, s.plain())
		w.refuse(t, r)
		got := l.read(t.Context(), w.source)
		s.fit(t, got.err)
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

// What no row can hold costs no other element its place, and is told of: what a
// version's records are is not known without its name, so that it is an error; a
// setting is kept as it came. An alias is only another name.
func (s *Suite) listUnusable(t *testing.T, l *listing) {
	w := s.open(t, s.plain())
	want := l.fill(w.cloud, 2*l.page+10)
	l.raw(w.cloud, l.unusable)
	got := l.read(t.Context(), w.source)
	s.fit(t, got.err)
	if l.name == "versions" {
		if got.err == nil || errors.Is(got.err, archive.ErrGone) || errors.Is(got.err, archive.ErrDenied) || errors.Is(got.err, archive.ErrNoVersions) {
			t.Errorf("%d of %d versions have no name, and the error is %v", len(l.unusable), len(want)+len(l.unusable), got.err)
		}
		got.err = nil
	}
	l.whole(t, got, want)
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
