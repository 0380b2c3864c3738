package supervise

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/metrics"
	"archiver/internal/pgserver/pgtest"
	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A source that cannot be opened when run starts is opened at a later tick.
func TestSourceOpenedLater(t *testing.T) {
	t.Parallel()
	const token = "test-token"
	day := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	data, err := dataset.Generate(dataset.GenerateOptions{Functions: 3, Invocations: 300, Date: day, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	shop, err := simulate.New(simulate.Options{
		Data: data, Token: token, AccessKey: "key", SecretKey: "secret", ProjectName: "eu-de_shop",
	})
	if err != nil {
		t.Fatal(err)
	}
	up := httptest.NewServer(shop)
	t.Cleanup(up.Close)
	var down atomic.Bool
	down.Store(true)
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusForbidden) // which is not tried again
			return
		}
		shop.ServeHTTP(w, r)
	}))
	t.Cleanup(flaky.Close)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	url := pgtest.Database(t)
	common := settings.Source{
		SourceFlags: settings.SourceFlags{
			Provider: functiongraph.Provider, Versions: "all", Settle: 10 * time.Minute, SourceRetention: 3650 * 24 * time.Hour, Concurrency: 8, RequestTimeout: 30 * time.Second,
		},
		DueFlags:    settings.DueFlags{Lookback: 24 * time.Hour, VerifyAfter: 6 * time.Hour},
		Credentials: settings.Credentials{AuthToken: extract.FixedSecret("token", token)},
	}
	early, late := common, common
	early.Name, early.Region, early.Endpoint, early.ProjectID = "up", "cn-north-4", up.URL, simulate.DefaultProjectID
	late.Name, late.Region, late.Endpoint, late.IAMEndpoint, late.Project = "late", "eu-de", flaky.URL, flaky.URL, "eu-de_shop"
	var mu sync.Mutex
	var said strings.Builder
	log := slog.New(slog.NewJSONHandler(&lockedWriter{&mu, &said}, nil))
	m := metrics.New("test")
	set, err := Open(ctx, &settings.Settings{
		Database: extract.FixedSecret("DATABASE_URL", url), Sources: []settings.Source{early, late},
	}, Options{Log: log, Metrics: m, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer set.DB.Close()
	s := set.Sources[1]
	failed := func() bool {
		page := httptest.NewRecorder()
		m.Handler(log).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return strings.Contains(page.Body.String(), `archiver_runs_total{outcome="failed",source="late"} 1`+"\n")
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	complete := func() (n int) {
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM runs WHERE outcome = 'complete'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if s.Archiver != nil || s.Err == nil {
		t.Fatal("the source is open, which cannot be")
	}
	tick := day.AddDate(0, 0, 1).Add(2 * time.Hour)
	if err := s.pass(ctx, set, tick); !FailedAsWhole(err) || s.Archiver != nil || complete() != 0 || !strings.Contains(said.String(), `"msg":"source cannot be opened, the next tick tries again","source":"late"`) {
		t.Errorf("the log: %s", said.String())
	}
	if !failed() {
		t.Error("the metrics do not count a failed run")
	}
	down.Store(false)
	if err := s.pass(ctx, set, tick); FailedAsWhole(err) || complete() != 1 {
		t.Errorf("no pass was complete: %s", said.String())
	}
	if !failed() {
		t.Error("the second pass failed as well")
	}
	if got, err := set.Retention(archive.SystemClock{}).dropBefore(ctx, tick, false); err != nil || !got.IsZero() {
		t.Errorf("without a retention, days before %s are dropped: %v", got, err)
	}
}

// A lockedWriter takes writes one at a time.
type lockedWriter struct {
	mu *sync.Mutex
	w  *strings.Builder
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
