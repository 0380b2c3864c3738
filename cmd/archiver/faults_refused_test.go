package main

import (
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/simulate"
)

// theDaySpan returns the day of the faults.
func theDaySpan() archive.Span { return archive.Span{From: day, To: day.AddDate(0, 0, 1)} }

// statesOf returns the number of windows in each state, of some functions.
func statesOf(in *installation, of func(simulate.FunctionInfo) bool, api *simulate.Server) map[string]int64 {
	in.t.Helper()
	names := make(map[string]bool)
	for _, f := range api.Functions() {
		names[f.Name] = of(f)
	}
	states := make(map[string]int64)
	for key, n := range counts(in, `
		SELECT function_name || ' ' || state, count(*) FROM archiver_internal.windows JOIN functions USING (function_id) WHERE planned GROUP BY 1`) {
		if name, state, _ := strings.Cut(key, " "); names[name] {
			states[state] += n
		}
	}
	return states
}

// TestFaultsDenied refuses every call from the Nth on: the run ends at once,
// says which permission is missing, and decides nothing any more. Once the
// permission is there, the next run finishes.
func TestFaultsDenied(t *testing.T) {
	t.Parallel()
	data := generated(t, faultFunctions, faultInvocations, 7)
	for spec, permission := range map[string]string{
		"deny=1":          "FunctionGraph:function:list",
		"deny=2":          "FunctionGraph ReadOnlyAccess",
		"deny=7":          "FunctionGraph ReadOnlyAccess",
		"deny=30,cap=100": "FunctionGraph ReadOnlyAccess",
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			api := faulty(t, data, spec, nil)
			board := &switchboard{next: api, ids: make(map[string]int)}
			var mu sync.Mutex
			refused := make(map[string]int) // calls, by what they asked for
			in := install(t, newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := &answered{ResponseWriter: w}
				board.ServeHTTP(answer, r)
				if answer.status == http.StatusForbidden {
					mu.Lock()
					defer mu.Unlock()
					refused[strings.Replace(path.Base(r.URL.Path), "aliases", "versions", 1)]++
				}
			})))
			end := archiveDay(in, "", asBinary, theDaySpan())
			if end.code != exitIncomplete || !strings.Contains(end.stderr, permission) || !strings.Contains(end.stderr, "403") {
				t.Errorf("exit %d, standard error: %s", end.code, end.stderr)
			}
			// Calls that run when the first call is refused are refused as well, and so are
			// those that begin before the cheapest call is refused too. Refused lists of
			// versions and settings do not end the run: it can work without them.
			mu.Lock()
			for asked, n := range refused {
				if n > 16 {
					t.Errorf("%d calls for %s were refused", n, asked)
				}
			}
			if len(refused) == 0 {
				t.Error("no call was refused")
			}
			mu.Unlock()
			// The run may have ended before it saw a record that is old enough to prove the
			// first hours.
			for state, n := range counts(in, `SELECT state, count(*) FROM archiver_internal.windows WHERE NOT unproven GROUP BY 1`) {
				if state != "complete" && state != "pending" && state != "partial" {
					t.Errorf("%d windows are %s", n, state)
				}
			}
			if n := queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows WHERE last_error IS NOT NULL AND NOT unproven`); n != 0 {
				t.Errorf("%d windows have an error", n)
			}

			board.plug(faulty(t, data, "", nil))
			if end := archiveDay(in, "", asBinary, theDaySpan()); end.code != exitDone {
				t.Errorf("once permitted: exit %d: %s", end.code, end.stderr)
			}
			if n := queryValue[int64](in, `SELECT count(*) FROM archiver_internal.windows WHERE planned AND state <> 'complete'`); n != 0 {
				t.Errorf("once permitted: %d windows are not complete", n)
			}
			compareAll(in, api, compared{open: openWindows(in)})
		})
	}
}

// TestFaultsGone archives half of a project whose functions are gone: that is
// no error, and what was archived before they went stays.
func TestFaultsGone(t *testing.T) {
	t.Parallel()
	data := generated(t, faultFunctions, faultInvocations, 7)
	api := faulty(t, data, "gone=0.5", nil)
	in := install(t, newServer(t, api))
	end := archiveDay(in, "", asBinary, theDaySpan())
	if end.code != exitDone || !strings.Contains(end.stdout, "96 windows gone") {
		t.Errorf("exit %d: %s%s", end.code, end.stdout, end.stderr)
	}
	gone := func(f simulate.FunctionInfo) bool { return f.Gone }
	there := func(f simulate.FunctionInfo) bool { return !f.Gone }
	if diff := cmp.Diff(map[string]int64{"gone": 96}, statesOf(in, gone, api)); diff != "" {
		t.Errorf("windows of what is gone (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"complete": 96}, statesOf(in, there, api)); diff != "" {
		t.Errorf("windows of the others (-want +got):\n%s", diff)
	}
	compareAll(in, api, compared{})
}

// TestFaultsGoneLater archives the morning of functions of which one goes
// before the afternoon is read.
func TestFaultsGoneLater(t *testing.T) {
	t.Parallel()
	data := generated(t, faultFunctions, faultInvocations, 7)
	now := clocktest.NewInstant(day.AddDate(0, 0, 2))
	api := faulty(t, data, "gone=0.1,gone-after=1h", now.Now)
	url := newServer(t, api)
	in := install(t, url)
	noon := day.Add(12 * time.Hour)
	if end := archiveDay(in, url, impatiently, archive.Span{From: day, To: noon}); end.code != exitDone {
		t.Fatalf("exit %d: %s", end.code, end.stderr)
	}
	before := archivedRows(in)
	if err := now.Sleep(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if end := archiveDay(in, url, impatiently, theDaySpan()); end.code != exitDone {
		t.Errorf("exit %d: %s", end.code, end.stderr)
	}
	after := archivedRows(in)
	for _, f := range api.Functions() {
		want := map[string]int64{"complete": 24}
		if f.Gone {
			want = map[string]int64{"complete": 12, "gone": 12}
			if len(before[f.Name]) == 0 || len(after[f.Name]) != len(before[f.Name]) {
				t.Errorf("%s had %d records before it went, and has %d", f.Name, len(before[f.Name]), len(after[f.Name]))
			}
		}
		got := statesOf(in, func(o simulate.FunctionInfo) bool { return o == f }, api)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, gone %t (-want +got):\n%s", f.Name, f.Gone, diff)
		}
	}
	compareAll(in, api, compared{})
}

// TestFaultsBroken archives functions of which some always answer 500: they
// fail, and stop none of the others.
func TestFaultsBroken(t *testing.T) {
	t.Parallel()
	data := generated(t, faultFunctions, faultInvocations, 7)
	api := faulty(t, data, "broken=0.3", nil)
	url := newServer(t, api)
	in := install(t, url)
	end := archiveDay(in, url, impatiently, theDaySpan())
	if end.code != exitIncomplete || !strings.Contains(end.stdout, "72 windows failed") || !strings.Contains(end.stderr, "500 FSS.0500") {
		t.Errorf("exit %d: %s%s", end.code, end.stdout, end.stderr)
	}
	broken := func(f simulate.FunctionInfo) bool { return f.Broken }
	whole := func(f simulate.FunctionInfo) bool { return !f.Broken }
	if diff := cmp.Diff(map[string]int64{"failed": 72}, statesOf(in, broken, api)); diff != "" {
		t.Errorf("windows of what is broken (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"complete": 120}, statesOf(in, whole, api)); diff != "" {
		t.Errorf("windows of the others (-want +got):\n%s", diff)
	}
	compareAll(in, api, compared{open: openWindows(in)})
}

// An answered is a writer that keeps the status that was written.
type answered struct {
	http.ResponseWriter
	status int
}

func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
