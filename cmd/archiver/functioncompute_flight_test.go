package main

import (
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/settings"
	"archiver/internal/simulate/dataset"
)

// TestFunctionComputeInFlight follows records that wait, without a start, or run. They
// are asked for again by their invocation ids, some of which their callers chose, and
// are archived as they ended.
//
// Signatures depend on the clock of the machine, so the clock of the test stays near.
func TestFunctionComputeInFlight(t *testing.T) {
	t.Parallel()
	clock := clocktest.New(time.Now().UTC())
	data, err := dataset.Live(dataset.GenerateOptions{Functions: 2, Invocations: 1500, Seed: 11}, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	api := faulty(t, data, "inflight=0.2,stage=4m,move=none", clock.Now)
	var chosen atomic.Int64
	url := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if prefix := r.URL.Query().Get("invocationIdPrefix"); len(prefix) > 4 && prefix[:4] == "job-" {
			chosen.Add(1)
		}
		api.ServeHTTP(w, r)
	}))
	in := install(t, url)
	archiver := in.inProcess(url, clock)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	archiver.Source, err = functioncompute.New(functioncompute.Options{
		Region: "cn-hangzhou", AccountID: testAccount, Endpoint: url,
		Keys: func() (functioncompute.Keys, error) {
			return functioncompute.Keys{AccessKeyID: testAccessKey, AccessKeySecret: testSecretKey}, nil
		},
	}, extract.NewCaller(extract.Options{Concurrency: 4, Clock: archive.SystemClock{}, Log: log}), log)
	if err != nil {
		t.Fatal(err)
	}

	due := settings.DueFlags{Lookback: 3 * time.Hour}
	pass := func() {
		t.Helper()
		if _, err := archiver.Archive(within(t), dueOrder(due, clock.Now(), archiver.Settle), new(archive.Progress)); err != nil {
			t.Fatal(err)
		}
	}
	pass()
	const inFlight = `SELECT count(*) FROM archiver_days.invocations_in_flight WHERE first_archived_at < $1`
	first := clock.Now().Add(time.Minute)
	if n := queryValue[int](in, inFlight, first); n == 0 {
		t.Fatal("nothing is in flight: the test shows nothing")
	}
	if n := queryValue[int](in, `SELECT count(*) FROM archiver_days.invocations_in_flight WHERE status = 'WAIT' AND start_time IS NULL`); n == 0 {
		t.Error("none of them waits: the test shows little")
	}
	clock.Advance(11 * time.Minute)
	pass()
	if n := queryValue[int](in, inFlight, first); n > 0 {
		t.Errorf("%d records are still in flight", n)
	}
	if chosen.Load() == 0 {
		t.Error("no record was asked for by an id that its caller chose")
	}
}
