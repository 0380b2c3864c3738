package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/loop"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// A traced is a function with so many records in each minute of a day.
type traced struct {
	name      string
	perMinute func(minute int) int
}

// trace is the day of these functions. The seconds of the records are drawn.
func trace(t testing.TB, day time.Time, functions ...traced) *dataset.Data {
	t.Helper()
	var invocations, durations strings.Builder
	invocations.WriteString("HashFunction")
	for m := range 24 * 60 {
		fmt.Fprintf(&invocations, ",minute_%d", m+1)
	}
	durations.WriteString("HashFunction")
	for _, rank := range []int{0, 1, 25, 50, 75, 99, 100} {
		fmt.Fprintf(&durations, ",percentile_Average_%d", rank)
	}
	for _, f := range functions {
		invocations.WriteString("\n" + f.name)
		for m := range 24 * 60 {
			fmt.Fprintf(&invocations, ",%d", f.perMinute(m))
		}
		durations.WriteString("\n" + f.name + strings.Repeat(",100", 7))
	}
	prefix := filepath.Join(t.TempDir(), "trace")
	for suffix, text := range map[string]string{"_inv.csv": invocations.String(), "_run.csv": durations.String()} {
		if err := os.WriteFile(prefix+suffix, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := dataset.LoadTrace(prefix, day, 1)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The two clouds.
const (
	graph   = "functiongraph"
	compute = "functioncompute"
)

// small is an archiver of this process that reads a cloud in small pages, and tries again
// at once. A call is given so long.
func (in *installation) small(cloud, endpoint string, page int, timeout time.Duration) *loop.Archiver {
	in.t.Helper()
	archiver := in.inProcess(endpoint, archive.SystemClock{})
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	caller := extract.NewCaller(extract.Options{Concurrency: 4, Timeout: timeout, Clock: clocktest.NewInstant(day), Log: log})
	var err error
	if cloud == compute {
		archiver.Source, err = functioncompute.New(functioncompute.Options{
			Region: "cn-hangzhou", AccountID: testAccount, Endpoint: endpoint, PageSize: page,
			Keys: func() (functioncompute.Keys, error) {
				return functioncompute.Keys{AccessKeyID: testAccessKey, AccessKeySecret: testSecretKey}, nil
			},
		}, caller, log)
	} else {
		archiver.Source, err = functiongraph.New(in.t.Context(), functiongraph.Options{
			Region: simulate.DefaultRegion, Endpoint: endpoint, ProjectID: simulate.DefaultProjectID, PageSize: page,
			AuthToken: extract.FixedSecret("token", testToken),
		}, caller, log)
	}
	if err != nil {
		in.t.Fatal(err)
	}
	return archiver
}

// questions is how often records were asked for.
func questions(api *simulate.Server) int {
	stats := api.Stats()
	return int(stats.ListAsyncInvocations + stats.ListStatefulAsyncInvocations)
}

// A lost names a window and its state, and how many records of it are not archived.
type lost map[string]int

// lostRecords returns the records of the source that are not archived, by the states of
// their windows. A record that is lost in silence is in a complete window.
func lostRecords(in *installation, api *simulate.Server) lost {
	in.t.Helper()
	states := pairs(in, `
		SELECT regexp_replace(function_name, '^.*/', '') || to_char(window_start AT TIME ZONE 'UTC', ' MM-DD"T"HH24'), state
		  FROM window_coverage JOIN functions USING (function_urn)`)
	held := pairs(in, `SELECT lower(request_id), status FROM invocation_history`)
	missing := lost{}
	for i, f := range api.Functions() {
		for r := range api.Truth(i) {
			if _, there := held[r.RequestID]; !there {
				missing[states[windowKey(f.Name, r.Start)]]++
			}
		}
	}
	return missing
}

// pairs runs a query of two texts.
func pairs(in *installation, sql string, args ...any) map[string]string {
	in.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, in.database)
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		in.t.Fatal(err)
	}
	got := make(map[string]string)
	var key, value string
	if _, err := pgx.ForEachRow(rows, []any{&key, &value}, func() error { got[key] = value; return nil }); err != nil {
		in.t.Fatal(err)
	}
	return got
}

// An ended is how a run left the archive.
type ended struct {
	Code   int
	States map[string]int64 // number of windows
	Lost   lost
}

// endedAs compares how a run ended with what is right.
func endedAs(in *installation, api *simulate.Server, end ending, want ended) {
	in.t.Helper()
	if want.Lost == nil {
		want.Lost = lost{}
	}
	got := ended{end.code, counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`), lostRecords(in, api)}
	if diff := cmp.Diff(want, got); diff != "" {
		in.t.Errorf("(-want +got):\n%s%.1500s%.1500s", diff, end.stdout, end.stderr)
	}
}
