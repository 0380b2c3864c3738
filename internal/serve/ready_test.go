package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
)

// The database is asked at most every five seconds, even by many probes, with a
// timeout. The log has one line for each change.
func TestReadiness(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	var log strings.Builder
	var down error
	asked := 0
	r := &readiness{
		clock: clock, log: slog.New(slog.NewTextHandler(&log, nil)),
		ping: func(ctx context.Context) error {
			asked++
			if _, limited := ctx.Deadline(); !limited {
				t.Error("asked without a limit of time")
			}
			return down
		},
	}
	probe := func(want int) {
		t.Helper()
		for range 3 {
			page := httptest.NewRecorder()
			// The probe has hung up already.
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			r.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
			if page.Code != want {
				t.Errorf("%d, want %d: %s", page.Code, want, page.Body)
			}
			if strings.Contains(page.Body.String(), "db.internal") {
				t.Errorf("the answer to a probe has %s", page.Body)
			}
		}
	}
	probe(http.StatusOK)
	down = errors.New("dial db.internal: refused")
	probe(http.StatusOK)
	clock.Advance(readyEvery)
	probe(http.StatusServiceUnavailable)
	clock.Advance(readyEvery)
	probe(http.StatusServiceUnavailable)
	down = nil
	clock.Advance(readyEvery)
	probe(http.StatusOK)
	if asked != 4 {
		t.Errorf("the database was asked %d times, want 4", asked)
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("the log has %d lines, want one for each change:\n%s", n, &log)
	}
}

// A probe of deploy/kubernetes waits longer than readiness waits for the database.
func TestProbeTimeout(t *testing.T) {
	t.Parallel()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "deploy", "kubernetes", "run", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	probe := regexp.MustCompile(`readinessProbe:\n(?: {12}.+\n)+? {12}timeoutSeconds: (\d+)\n`).FindSubmatch(manifest)
	if probe == nil {
		t.Fatal("the readiness probe has no timeout")
	}
	if limit, err := time.ParseDuration(string(probe[1]) + "s"); err != nil || limit <= PingTimeout {
		t.Errorf("the probe waits %s, readiness waits %s for the database, %v", limit, PingTimeout, err)
	}
}
