package completeness

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/loop"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

var day = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)

// A versioned cloud is a simulated one whose functions have versions, and an
// archiver that reads it through the SDK.
type versioned struct {
	*database
	data     *dataset.Data
	clock    *clocktest.Clock
	archiver *loop.Archiver
	server   atomic.Pointer[simulate.Server]

	mu    sync.Mutex
	calls map[string]int        // by version and list asked for
	gone  map[string]bool       // versions that answer 404
	fail  map[string]func() int // status of lists that fail
	byID  http.Handler          // answers where an id is asked for
}

const (
	accessKey, secretKey = "key-of-the-test", "secret-of-the-test"
)

func newVersioned(t *testing.T, faults string) *versioned {
	t.Helper()
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 3, Invocations: 4000, Date: day, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	w := &versioned{
		database: openStore(t), data: data, clock: clocktest.New(day.Add(12*time.Hour + 15*time.Minute)),
		calls: make(map[string]int), gone: make(map[string]bool), fail: make(map[string]func() int),
	}
	w.answersBy(t, faults)
	api := httptest.NewServer(w)
	t.Cleanup(api.Close)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	log := slog.New(slog.DiscardHandler)
	source, err := functiongraph.New(t.Context(), functiongraph.Options{
		Region: simulate.DefaultRegion, Endpoint: api.URL, ProjectID: simulate.DefaultProjectID,
		AccessKey: extract.FixedSecret("key", accessKey), SecretKey: extract.FixedSecret("secret", secretKey),
	}, extract.NewCaller(extract.Options{Concurrency: 4, Transport: transport, Clock: clocktest.NewInstant(day), Log: log}), log)
	if err != nil {
		t.Fatal(err)
	}
	w.archiver = &loop.Archiver{
		Source: source, Store: w.store, Versions: w.store, Clock: w.clock, Log: log, Settle: 10 * time.Minute, Concurrency: 4,
	}
	return w
}

// answersBy has the cloud answer by these faults from now on.
func (w *versioned) answersBy(t *testing.T, spec string) {
	t.Helper()
	faults, err := simulate.ParseFaults(spec)
	if err != nil {
		t.Fatal(err)
	}
	server, err := simulate.New(simulate.Options{Data: w.data, AccessKey: accessKey, SecretKey: secretKey, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	w.server.Store(server)
}

func (w *versioned) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	urn, asked := path.Split(strings.TrimPrefix(r.URL.Path, "/v2/"+simulate.DefaultProjectID+"/fgs/functions"))
	version := urn[strings.LastIndex(urn, ":")+1:]
	version = strings.Trim(version, "/")
	w.mu.Lock()
	w.calls[version+" "+asked]++
	gone, fail := w.gone[version] && asked == "async-invocations", w.fail[asked]
	byID := w.byID
	w.mu.Unlock()
	switch {
	case gone:
		answer.WriteHeader(http.StatusNotFound)
		fmt.Fprint(answer, `{"error_code":"FSS.1051","error_msg":"Not found the function"}`)
	case byID != nil && r.URL.Query().Get("request_id") != "":
		byID.ServeHTTP(answer, r)
	case fail != nil:
		answer.WriteHeader(fail())
	default:
		w.server.Load().ServeHTTP(answer, r)
	}
}

// pass archives what is due by now, as often as once does.
func (w *versioned) pass(t *testing.T, change ...func(*archive.Order)) (archive.Summary, map[string]int, error) {
	t.Helper()
	w.mu.Lock()
	clear(w.calls)
	w.mu.Unlock()
	o := archive.Order{
		AskedBy: "once", Older: true, Follow: true,
		Range: archive.Span{From: day, To: archive.DueBefore(w.clock.Now(), w.archiver.Settle)},
	}
	for _, c := range change {
		c(&o)
	}
	summary, err := w.archiver.Archive(t.Context(), o, new(archive.Progress))
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := make(map[string]int, len(w.calls))
	for name, n := range w.calls {
		calls[name] = n
	}
	return summary, calls, err
}

// holds checks that the archive has all records up to now, each once, and says
// how many of each version.
func (w *versioned) holds(t *testing.T) (of map[string]int) {
	t.Helper()
	var want []string
	for i := range w.data.Functions() {
		for r := range w.data.Records(i) {
			if r.Start.Before(archive.DueBefore(w.clock.Now(), w.archiver.Settle)) {
				want = append(want, r.RequestID)
			}
		}
	}
	slices.Sort(want)
	ctx := context.Background()
	rows, err := w.conn.Query(ctx, `SELECT request_id FROM invocations WHERE start_time < $1`,
		archive.DueBefore(w.clock.Now(), w.archiver.Settle))
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d records, %d of them once, want %d", len(got), len(slices.Compact(slices.Clone(got))), len(want))
	}
	return w.count(t, `SELECT split_part(function_urn, ':', 8), count(*) FROM invocation_history GROUP BY 1`)
}

func (w *versioned) count(t *testing.T, query string) map[string]int {
	t.Helper()
	rows, err := w.conn.Query(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	var name string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error {
		counts[name] = n
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return counts
}

const covered = `SELECT version, count(*) FROM function_versions WHERE covered_since IS NOT NULL GROUP BY 1`

// Whatever a version's list answers for, each record is in the archive once; and
// where another version's list has it already, it is not read twice.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"own", "whole", "latest"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newVersioned(t, "versions="+mode)
			_, calls, err := w.pass(t)
			if err != nil {
				t.Fatal(err)
			}
			// A function without a record has nothing to be covered by.
			busy := len(w.count(t, `SELECT function_name, count(*) FROM invocation_history GROUP BY 1`))
			of := w.holds(t)
			if own := mode == "own"; (of["v1"] > 0) != own || (of["v2"] > 0) != own || of["latest"] == 0 {
				t.Errorf("records by version: %v", of)
			}
			both := map[string]int{"v1": busy, "v2": busy}
			if mode == "own" {
				both = map[string]int{}
			}
			if diff := cmp.Diff(both, w.count(t, covered)); diff != "" {
				t.Errorf("covered (-want +got):\n%s", diff)
			}
			if calls["latest versions"] != 3 || calls["latest aliases"] != 3 {
				t.Errorf("%v", calls)
			}
			// One answer has the settings of all versions.
			if calls["latest async-invoke-configs"] != 3 || calls["v1 async-invoke-configs"]+calls["v2 async-invoke-configs"] > 0 {
				t.Errorf("asked for settings: %v", calls)
			}
			if n := w.count(t, `SELECT 'all', count(*) FROM notification_settings`); n["all"] != 9 {
				t.Errorf("%v settings", n)
			}
			// Looking takes two calls, and reading what nothing is known of one.
			if n := calls["v1 async-invocations"]; mode != "own" && n > 3*2+(3-busy) {
				t.Errorf("%d calls for a version that is covered", n)
			}
			// The next hour: nothing is listed anew, what is covered is not asked for.
			w.clock.Advance(time.Hour)
			_, calls, err = w.pass(t)
			if err != nil {
				t.Fatal(err)
			}
			w.holds(t)
			for name := range calls {
				if !strings.HasSuffix(name, "async-invocations") && name != " " {
					t.Errorf("%s was asked for", name)
				}
			}
			if own := mode == "own"; calls["latest async-invocations"] < 3 || own && (calls["v1 async-invocations"] < 3 || calls["v2 async-invocations"] < 3) {
				t.Errorf("not asked for all: %v", calls)
			}
			if mode != "own" && calls["v1 async-invocations"]+calls["v2 async-invocations"] > 2*(3-busy) {
				t.Errorf("asked for what is covered: %v", calls)
			}
			// The source's counts are those of the archive.
			_, _, err = w.pass(t, func(o *archive.Order) { o.AskedBy, o.Compare, o.Older, o.Follow = "verify", true, false, false })
			if err != nil {
				t.Error(err)
			}
			// A day later all is listed and looked at again.
			w.clock.Advance(24 * time.Hour)
			_, calls, err = w.pass(t)
			if err != nil || calls["latest versions"] != 3 {
				t.Errorf("%v after %v", err, calls)
			}
			w.holds(t)
			if mode != "own" {
				both = map[string]int{"v1": 3, "v2": 3} // all have records by now
			}
			if diff := cmp.Diff(both, w.count(t, covered)); diff != "" {
				t.Errorf("covered a day later (-want +got):\n%s", diff)
			}
		})
	}
}

// A source that no longer answers for the whole function is noticed, and
// nothing is lost that only its versions gave meanwhile.
func TestVersionsChange(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.holds(t)
	w.answersBy(t, "versions=own")
	w.clock.Advance(5 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(20 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	if of := w.holds(t); of["v1"] == 0 || of["v2"] == 0 {
		t.Errorf("%v", of)
	}
	if n := w.count(t, covered); len(n) != 0 {
		t.Errorf("still covered: %v", n)
	}
	// And back.
	w.answersBy(t, "versions=whole")
	w.clock.Advance(25 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.holds(t)
}

// Where the latest cannot be read, its versions are all the same, and what they
// give is found under them by the latest.
func TestVersionsOfUnread(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"own", "whole", "latest"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newVersioned(t, "versions="+mode)
			all := w.archiver.Match
			w.archiver.Match = func(f archive.Function) bool { return !strings.HasSuffix(f.URN, ":latest") }
			if _, calls, err := w.pass(t); err != nil || calls["latest versions"] != 0 {
				t.Fatal(err, calls) // nobody knows of versions yet
			}
			w.archiver.Match = func(f archive.Function) bool { return strings.HasSuffix(f.URN, ":latest") }
			if _, _, err := w.pass(t, func(o *archive.Order) { o.Range.To = o.Range.From.Add(time.Hour) }); err != nil {
				t.Fatal(err)
			}
			w.archiver.Match = func(f archive.Function) bool { return !strings.HasSuffix(f.URN, ":latest") }
			if _, _, err := w.pass(t); err != nil {
				t.Fatal(err)
			}
			w.archiver.Match = all
			if _, _, err := w.pass(t); err != nil {
				t.Fatal(err)
			}
			w.holds(t)
			_, _, err := w.pass(t, func(o *archive.Order) { o.AskedBy, o.Compare, o.Older, o.Follow = "verify", true, false, false })
			if err != nil {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

// With the latest alone nothing else is asked for, and what is known of
// versions stays.
func TestVersionsLatest(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=own")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	before := w.holds(t)
	w.archiver.Versions = nil
	w.clock.Advance(48 * time.Hour)
	_, calls, err := w.pass(t)
	if err != nil {
		t.Fatal(err)
	}
	for name := range calls {
		if name != " " && !strings.HasPrefix(name, "latest async-invo") && name != " functions" {
			t.Errorf("%s was asked for", name)
		}
	}
	after := w.count(t, `SELECT split_part(function_urn, ':', 8), count(*) FROM invocation_history GROUP BY 1`)
	if after["v1"] != before["v1"] || after["latest"] <= before["latest"] {
		t.Errorf("%v before, %v after", before, after)
	}
}

// Where an id is found whatever version is asked for it, that is no sign that
// the latest lists it.
func TestVersionsByID(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	w.byID = w.server.Load()
	w.answersBy(t, "versions=own")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	if of := w.holds(t); of["v1"] == 0 || of["v2"] == 0 {
		t.Errorf("%v", of)
	}
	if n := w.count(t, covered); len(n) != 0 {
		t.Errorf("covered: %v", n)
	}
}

// A version that is deleted keeps its history; aliases are there for SQL.
func TestVersionsGone(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=own")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	before := w.holds(t)
	aliases := w.count(t, `SELECT function_name || ' ' || alias_name || ' ' || a.version || ' ' || (additional_versions->>'v2'), 1
		  FROM function_aliases a JOIN functions USING (function_id)`)
	if len(aliases) != 3 {
		t.Errorf("aliases: %v", aliases)
	}
	if n := w.count(t, `SELECT 'live', count(*) FROM function_versions WHERE version = 'v1' AND aliases = '{live}'`); n["live"] != 3 {
		t.Errorf("versions with their alias: %v", n)
	}
	w.mu.Lock()
	w.gone["v1"] = true
	w.mu.Unlock()
	w.clock.Advance(time.Hour)
	summary, _, err := w.pass(t)
	if err != nil || summary.Gone == 0 {
		t.Errorf("%+v, %v", summary.Totals, err)
	}
	after := w.count(t, `SELECT split_part(function_urn, ':', 8), count(*) FROM invocation_history GROUP BY 1`)
	if after["v1"] != before["v1"] {
		t.Errorf("%v before, %v after", before, after)
	}
	w.clock.Advance(time.Hour)
	if _, calls, err := w.pass(t); err != nil || calls["v1 async-invocations"] != 0 {
		t.Errorf("%v, asked for what is gone: %v", err, calls)
	}
}

// A list of versions that cannot be had is a question without an answer, and
// costs nothing else its place; a source without such lists is no trouble.
func TestVersionsUnlisted(t *testing.T) {
	t.Parallel()
	for status, left := range map[int]bool{
		http.StatusForbidden: true, http.StatusBadRequest: true,
		http.StatusNotFound: false, http.StatusMethodNotAllowed: false, http.StatusNotImplemented: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := newVersioned(t, "versions=whole")
			w.fail["versions"] = func() int { return status }
			summary, _, err := w.pass(t)
			if (err != nil) != left || (summary.Left > 0) != left {
				t.Errorf("%d left, %v", summary.Left, err)
			}
			w.holds(t)
			delete(w.fail, "versions")
			w.clock.Advance(25 * time.Hour)
			if _, calls, err := w.pass(t); err != nil || calls["latest versions"] != 3 {
				t.Errorf("%v after %v", err, calls)
			}
		})
	}
}
