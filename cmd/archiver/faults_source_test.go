package main

import (
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/loop"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// quickly is the environment of a binary that says little and ends at once: the
// race detector's last second of waiting is of no use here.
var quickly = []string{"ARCHIVER_LOG_LEVEL=error", "GORACE=atexit_sleep_ms=0"}

// faulty serves data with faults, by a clock of the test's; nil is the
// machine's.
func faulty(t testing.TB, data *dataset.Data, spec string, now func() time.Time) *simulate.Server {
	t.Helper()
	faults, err := simulate.ParseFaults(spec)
	if err != nil {
		t.Fatal(err)
	}
	api, err := simulate.New(simulate.Options{
		Data: data, Faults: faults, Now: now, AccessKey: testAccessKey, SecretKey: testSecretKey, Token: testToken,
	})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// impatient is an archiver of this process that tries again at once, and gives
// a call so long.
func (in *installation) impatient(endpoint string, timeout time.Duration) *loop.Archiver {
	in.t.Helper()
	archiver := in.inProcess(endpoint, archive.SystemClock{})
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	source, err := functiongraph.New(in.t.Context(), functiongraph.Options{
		Region: simulate.DefaultRegion, Endpoint: endpoint, ProjectID: simulate.DefaultProjectID, AuthToken: extract.FixedSecret("token", testToken),
	}, extract.NewCaller(extract.Options{
		Concurrency: 4, Timeout: timeout, Clock: clocktest.NewInstant(day), Log: log,
	}), log)
	if err != nil {
		in.t.Fatal(err)
	}
	archiver.Source, archiver.Log = source, log
	return archiver
}

// A switchboard passes calls to the API that is plugged in, and counts them.
type switchboard struct {
	mu   sync.Mutex
	next http.Handler
	// ids are how often each path was asked for a record by its id.
	ids map[string]int
}

func (s *switchboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if r.URL.Query().Get("request_id") != "" {
		s.ids[r.URL.Path]++
	}
	next := s.next
	s.mu.Unlock()
	next.ServeHTTP(w, r)
}

// asked returns ids, and clears them.
func (s *switchboard) asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = make(map[string]int)
	return ids
}

// plug changes the API that answers.
func (s *switchboard) plug(next http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = next
}
