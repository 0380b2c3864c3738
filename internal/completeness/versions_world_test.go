package completeness

import (
	"context"
	"fmt"
	"iter"
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

// answersBy makes the cloud answer with these faults from now on.
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

// holds checks that the archive has all records up to now, each once. It returns how
// many there are of each version.
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

// A bent source changes the answers of the versioned cloud's source, one call at a time.
type bent struct {
	*functiongraph.Source
	mu       sync.Mutex
	pages    func(q archive.Query, p *archive.Page)
	fails    func(q archive.Query) error
	unlisted func(f archive.Function) error
}

func bend(t *testing.T, w *versioned) *bent {
	t.Helper()
	source, ok := w.archiver.Source.(*functiongraph.Source)
	if !ok {
		t.Fatal("the source is another one")
	}
	b := &bent{
		Source: source, pages: func(archive.Query, *archive.Page) {},
		fails: func(archive.Query) error { return nil }, unlisted: func(archive.Function) error { return nil },
	}
	w.archiver.Source = b
	return b
}

func (b *bent) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		b.mu.Lock()
		err := b.fails(q)
		b.mu.Unlock()
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		for p, err := range b.Source.Pages(ctx, q) {
			b.mu.Lock()
			b.pages(q, &p)
			b.mu.Unlock()
			if !yield(p, err) {
				return
			}
		}
	}
}

func (b *bent) Versions(ctx context.Context, f archive.Function) ([]archive.Function, error) {
	b.mu.Lock()
	err := b.unlisted(f)
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return b.Source.Versions(ctx, f)
}

func ofVersion(q archive.Query, version string) bool {
	return strings.HasSuffix(q.Function.URN, ":"+version)
}

const statesOfVersions = `
	SELECT split_part(function_urn, ':', 8) || ' ' || state, count(*) FROM window_coverage GROUP BY 1`

func verifying(o *archive.Order) {
	o.AskedBy, o.Compare, o.Older, o.Follow = "verify", true, false, false
}
