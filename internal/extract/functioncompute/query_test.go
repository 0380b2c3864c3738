package functioncompute

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

// recordQueries answers each call with an empty list, and records the queries.
func recordQueries(asked *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		*asked = append(*asked, strings.TrimSpace(q.Get("qualifier")+" "+q.Get("status")+" "+q.Get("invocationIdPrefix")))
		fmt.Fprint(w, `{"invocations":[]}`)
	})
}

// A status is queried with each of the source's statuses for it. A status that
// can still change, or that the API cannot filter by, is not sent.
func TestStatusIsAskedFor(t *testing.T) {
	t.Parallel()
	for status, want := range map[string][]string{
		"":                    {""},
		archive.StatusSuccess: {"Succeeded"},
		archive.StatusFail:    {"Failed", "Stopped"},
		archive.StatusDiscard: {"Invalid", "Expired"},
		archive.StatusRunning: {""},
		archive.StatusWait:    {""},
		"Retrying":            {"Retrying"},
		"Dequeued":            {""},
		"ODD":                 {""},
	} {
		var asked []string
		q := hour
		q.Status = status
		if _, err := read(t.Context(), open(t, recordQueries(&asked)), q); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("%q is asked for by %q, want %q", status, asked, want)
		}
	}
}

// One record is queried by its possible invocation id. A search then reads all
// lists, of each qualifier.
func TestSearch(t *testing.T) {
	t.Parallel()
	var asked []string
	s := open(t, recordQueries(&asked))
	s.qualifiers.set(map[string][]string{testURN: {"LATEST", "prod"}})
	q := hour
	q.RequestID, q.Search = "r-1", true
	got, err := read(t.Context(), s, q)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"r-1", "prod  r-1", "", "prod"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	for i, p := range got {
		if p.Lists != 3-i || p.Last != (i == 3) {
			t.Errorf("page %d: %d lists follow, last %t", i, p.Lists, p.Last)
		}
		if i == 3 {
			break
		}
		// Each cursor leads to the rest of the pages.
		q := q
		q.Cursor, asked = p.Next, nil
		if _, err := read(t.Context(), s, q); err != nil || !slices.Equal(asked, want[i+1:]) {
			t.Errorf("from %s: asked for %q, %v", p.Next, asked, err)
		}
	}
}

// A query can ask for the newest first. Otherwise, as in archiving, the oldest
// come first.
func TestOrderIsAskedFor(t *testing.T) {
	t.Parallel()
	for newest, want := range map[bool]string{true: "desc", false: "asc"} {
		order := ""
		s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			order = r.URL.Query().Get("sortOrderByTime")
			fmt.Fprint(w, `{"invocations":[]}`)
		}))
		q := hour
		q.Newest = newest
		if _, err := read(t.Context(), s, q); err != nil || order != want {
			t.Errorf("newest %t: asked for %s, %v", newest, order, err)
		}
	}
}

// The lists of several qualifiers may be equal. That is not an endless list.
func TestQualifiersWithTheSameRecords(t *testing.T) {
	t.Parallel()
	s := open(t, answerWith(http.StatusOK, `{"invocations":[{"requestId":"a"}]}`))
	s.qualifiers.set(map[string][]string{testURN: {"1", "2", "3", "4", "5", "LATEST"}})
	got, err := read(t.Context(), s, hour)
	if err != nil || len(got) != 6 {
		t.Errorf("%d pages, %v", len(got), err)
	}
}

// A query without a qualifier that gives records of another qualifier gives all: later
// queries have no qualifier.
func TestQueryWithoutQualifierGivesAll(t *testing.T) {
	t.Parallel()
	for qualifier, want := range map[string][]string{"LATEST": {"", "prod", "", "prod"}, "prod": {"", "prod", ""}, "deleted": {"", "prod", ""}} {
		var asked []string
		s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Query().Get("qualifier"))
			fmt.Fprintf(w, `{"invocations":[{"requestId":"a","qualifier":%q}]}`, qualifier)
		}))
		s.qualifiers.set(map[string][]string{testURN: {"LATEST", "prod"}})
		for range 2 {
			if _, err := read(t.Context(), s, hour); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(asked, want) {
			t.Errorf("%s: asked for %q, want %q", qualifier, asked, want)
		}
	}
}

// The list of a qualifier that does not exist any more ends alone. If no list is there,
// the function is gone.
func TestQualifiersThatAreGone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		codes map[string]string // by qualifier
		ids   []string
		gone  bool
	}{
		"an alias":            {map[string]string{"prod": "AliasNotFound"}, []string{"", "", "old"}, false},
		"versions":            {map[string]string{"1": "VersionNotFound", "prod": "VersionNotFound"}, []string{"", "", ""}, false},
		"no tasks of LATEST":  {map[string]string{"": "AsyncConfigNotExists"}, []string{"", "old", "old"}, false},
		"no tasks":            {map[string]string{"": "AsyncConfigNotExists", "1": "AsyncConfigNotExists", "prod": "AliasNotFound"}, nil, true},
		"the function, later": {map[string]string{"prod": "FunctionNotFound"}, []string{"", "old"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				qualifier := r.URL.Query().Get("qualifier")
				if code := test.codes[qualifier]; code != "" {
					w.WriteHeader(http.StatusNotFound)
					fmt.Fprintf(w, `{"ErrorCode":%q,"ErrorMessage":"no"}`, code)
					return
				}
				fmt.Fprint(w, map[bool]string{true: `{"invocations":[]}`, false: `{"invocations":[{"requestId":"old"}]}`}[qualifier == ""])
			}))
			s.qualifiers.set(map[string][]string{testURN: {"1", "prod"}})
			got, err := read(t.Context(), s, hour)
			if errors.Is(err, archive.ErrGone) != test.gone || (err != nil) != test.gone {
				t.Errorf("got %v", err)
			}
			if len(got) != len(test.ids) && !(test.gone && test.ids == nil) {
				t.Errorf("%d pages, %q", len(got), ids(got))
			}
		})
	}
}

// The simulator behaves like the API's page: each status is a filter, and an
// unknown status is refused.
func TestSimulatorFiltersByStatus(t *testing.T) {
	t.Parallel()
	_, url := simulator(t, "")
	s := open(t, http.NotFoundHandler(), at(url))
	listed, err := functions(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	q := archive.Query{Function: listed[0], From: day, To: day.Add(24 * time.Hour), Newest: true}
	all, err := read(t.Context(), s, q)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]int)
	var last time.Time
	for _, p := range all {
		for _, inv := range p.Invocations {
			want[inv.SourceStatus]++
			want[inv.Status]++
			if !last.IsZero() && inv.Start.After(last) {
				t.Fatalf("%s is listed after an older one", inv.RequestID)
			}
			last = inv.Start
		}
	}
	for _, status := range []string{"Succeeded", "Failed", "Stopped", "Expired", "Invalid", archive.StatusFail, archive.StatusSuccess, archive.StatusDiscard} {
		q.Status = status
		got, err := read(t.Context(), s, q)
		n := 0
		for _, p := range got {
			for _, inv := range p.Invocations {
				if inv.SourceStatus != status && inv.Status != status {
					t.Fatalf("asked for %s: %+v", status, inv)
				}
				n++
			}
		}
		if err != nil || n != want[status] {
			t.Errorf("%s: %d of %d, %v", status, n, want[status], err)
		}
	}
	if want["Failed"] == 0 || want["Stopped"] == 0 {
		t.Errorf("the test shows nothing: %v", want)
	}
}
