package conformance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
)

func (s *Suite) identity(t *testing.T) {
	w := s.open(t, s.plain())
	if id := w.source.ID(); id.Provider != s.Provider || id != w.source.ID() {
		t.Errorf("%+v", id)
	}
	if n := w.calls.Load(); n != 0 {
		t.Errorf("%d calls before anything was asked", n)
	}
}

// All functions are listed, each once, with any number of pages.
func (s *Suite) functions(t *testing.T) {
	p := s.FunctionPage
	for i := range s.Ways {
		sizes := []int{0, p + 1}
		if i == 0 {
			sizes = []int{0, 1, p, p + 1, 2*p - 1, 2 * p, 2*p + 1, 3*p + 3}
		}
		for _, n := range sizes {
			t.Run(fmt.Sprint(n, "/", s.Ways[i].Name), func(t *testing.T) {
				t.Parallel()
				w := s.open(t, &s.Ways[i])
				var want []string
				w.cloud.functions = nil
				for n := range n {
					f := s.Function(n)
					w.cloud.functions = append(w.cloud.functions, f)
					want = append(want, f.URN+" "+f.Name)
				}
				all, err := list(t.Context(), w.source)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range all {
					got = append(got, f.URN+" "+f.Name)
				}
				if least := int64((n + p - 1) / p); w.calls.Load() < least {
					t.Errorf("%d functions by %d calls, where pages of %d take %d", n, w.calls.Load(), p, least)
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%d functions, want %d: %s", len(got), len(want), firstDifferences(got, want))
				}
			})
		}
	}
}

// A record has its id, status, message and times. The times are in UTC.
func (s *Suite) records(t *testing.T) {
	w := s.open(t, s.plain())
	for i, status := range []string{
		archive.StatusWait, archive.StatusRunning, archive.StatusSuccess, archive.StatusFail, archive.StatusDiscard,
	} {
		r := Record{ID: fmt.Sprintf("r-%d", i), Status: status, Start: noon.Add(time.Duration(i) * time.Minute)}
		if !archive.InFlight(status) {
			r.End = r.Start.Add(90 * time.Second)
		}
		if status == archive.StatusFail {
			r.Message = "it went wrong: 'ü\"\\"
		}
		w.cloud.records = append(w.cloud.records, r)
	}
	pages, err := read(t.Context(), w.source, w.hour())
	if err != nil {
		t.Fatal(err)
	}
	checkRecords(t, pages, w.cloud.records)
	for _, page := range pages {
		for _, inv := range page.Invocations {
			at := slices.IndexFunc(w.cloud.records, func(r Record) bool { return r.ID == inv.RequestID })
			want := w.cloud.records[at]
			got := Record{ID: inv.RequestID, Status: inv.Status, Message: inv.ErrorMessage, Start: inv.Start, End: inv.End}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if inv.Extra != nil && !json.Valid(inv.Extra) {
				t.Errorf("%s: extra is not JSON: %q", inv.RequestID, inv.Extra)
			}
		}
	}
}

// An element that no row can hold is rejected with a reason, and kept as the cloud sent
// it. It does not affect other records.
func (s *Suite) unusable(t *testing.T) {
	w := s.open(t, s.plain())
	w.cloud.records = spread("r", noon, 3*s.PageSize)
	for i, raw := range s.Unusable {
		at := noon.Add(time.Duration(2*i+1) * 61 * time.Second)
		w.cloud.records = append(w.cloud.records, Record{ID: fmt.Sprint("raw-", i), Start: at, Raw: raw})
	}
	pages, err := read(t.Context(), w.source, w.hour())
	if err != nil {
		t.Fatal(err)
	}
	checkRecords(t, pages, w.cloud.records)
	var kept []archive.Rejected
	n := 0
	for i := range pages {
		kept = append(kept, pages[i].Rejected...)
		n += pages[i].Len()
	}
	if n != len(w.cloud.records) || len(kept) != len(s.Unusable) {
		t.Errorf("%d elements, of them %d rejected, want %d and %d", n, len(kept), len(w.cloud.records), len(s.Unusable))
	}
	for _, raw := range s.Unusable {
		at := slices.IndexFunc(kept, func(r archive.Rejected) bool { return sameJSON(t, r.Payload, raw) })
		if at < 0 || kept[at].Reason == "" {
			t.Errorf("%s is not kept with a reason", raw)
		}
	}
}

func sameJSON(t *testing.T, payload []byte, raw string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(raw), &b); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return json.Unmarshal(payload, &a) == nil && reflect.DeepEqual(a, b)
}
