package main

import (
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/loop"
	"archiver/internal/simulate"
)

// TestPace reads sources that refuse calls beyond some in a second or a minute, by a
// clock that moves only as the archiver waits: they cost time, never windows.
func TestPace(t *testing.T) {
	t.Parallel()
	data := generated(t, 60, 600, 7)
	for _, c := range []struct {
		spec    string
		within  time.Duration // of the clock
		refused float64       // at most, of all calls
	}{
		{"first-429=1,throttle=bare", 15 * time.Second, 0.2},
		{"first-429=1", 15 * time.Second, 0.2},
		{"per-second=10", time.Minute, 0.2},
		{"per-second=10,throttle=bare", time.Minute, 0.2},
		{"per-minute=10,throttle=bare", 40 * time.Minute, 0.2},
		{"per-minute=10,throttle=header", 40 * time.Minute, 0.2},
		{"per-minute=10,throttle=message", 40 * time.Minute, 0.2},
		{"per-minute=60,first-429=1", 10 * time.Minute, 0.2},
	} {
		t.Run(c.spec, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			clock := clocktest.NewInstant(began)
			api := faulty(t, data, c.spec, clock.Now)
			url := newServer(t, api)
			in := install(t, url)
			archiver := in.paced(url, clock, 0)
			end := archiveIn(t, archiver, archive.Order{AskedBy: "backfill", Range: theDaySpan()})
			endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 60 * 24}, nil})
			took := clock.Now().Sub(began)
			stats := archiver.Source.Stats()
			t.Logf("%d calls, %d refused, in %s", stats.Calls, stats.Refused, took.Round(time.Second))
			if took > c.within {
				t.Errorf("took %s", took)
			}
			if share := float64(stats.Refused) / float64(stats.Calls); share > c.refused {
				t.Errorf("%d of %d calls are refused", stats.Refused, stats.Calls)
			}
		})
	}
}

// paced is an archiver of this process whose calls wait by a clock. It makes one call at a
// time: each wait moves the clock.
func (in *installation) paced(url string, clock archive.Clock, patience time.Duration) *loop.Archiver {
	in.t.Helper()
	archiver := in.inProcess(url, archive.SystemClock{})
	var err error
	archiver.Concurrency = 1
	archiver.Source, err = functiongraph.New(in.t.Context(), functiongraph.Options{
		Region: simulate.DefaultRegion, Endpoint: url, ProjectID: simulate.DefaultProjectID,
		AuthToken: extract.FixedSecret("token", testToken),
	}, extract.NewCaller(extract.Options{
		Concurrency: 1, Timeout: time.Minute, Patience: patience, Clock: clock, Log: archiver.Log,
	}), archiver.Log)
	if err != nil {
		in.t.Fatal(err)
	}
	return archiver
}

// TestFirstCallRefused runs the real binary against a source that answers 429 to the very
// first call: the run is not delayed by it.
func TestFirstCallRefused(t *testing.T) {
	t.Parallel()
	api := faulty(t, generated(t, 30, 600, 7), "first-429=1,throttle=bare", nil)
	in := install(t, newServer(t, api))
	began := time.Now()
	end := archiveDay(in, "", asBinary, theDaySpan())
	endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 30 * 24}, nil})
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestThrottledForEver reads sources that answer 429 to each question for records, of one
// function or of all: no window has failed, and the others wait for nothing. The waits go
// by a clock that moves only as the archiver waits.
func TestThrottledForEver(t *testing.T) {
	t.Parallel()
	const functions, patience = 20, 15 * time.Minute
	data := generated(t, functions, 400, 7)
	for spec, throttled := range map[string]int64{
		"broken=0.05,broken-answer=429":                               1,
		"broken=0.05,broken-answer=envelope,envelope-error=throttled": 1,
		"broken=1,broken-answer=429":                                  functions,
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			clock := clocktest.NewInstant(began)
			api := faulty(t, data, spec, clock.Now)
			url := newServer(t, api)
			in := install(t, url)
			end := archiveIn(t, in.paced(url, clock, patience), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
			says := "the source throttles this function alone"
			if throttled == functions {
				says = "the source accepts no calls"
			}
			if !strings.Contains(end.stderr, says) {
				t.Errorf("it says %s", end.stderr)
			}
			want := map[string]int64{"pending": 24 * throttled, "complete": 24 * (functions - throttled)}
			if throttled == functions {
				delete(want, "complete")
			}
			endedAs(in, api, end, ended{exitIncomplete, want, nil})
			took := clock.Now().Sub(began)
			t.Logf("in %s", took.Round(time.Second))
			// The patience begins again with each call that the source accepts: those that ask
			// whether it throttles one function alone. Waits at the same time add up on this clock.
			if took > 4*patience {
				t.Errorf("took %s", took)
			}
		})
	}
}
