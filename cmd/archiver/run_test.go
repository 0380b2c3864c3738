package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/load"
	"archiver/internal/load/days"
	"archiver/internal/load/pg"
	"archiver/internal/loop"
	"archiver/internal/schedule"
	"archiver/internal/settings"
	"archiver/internal/simulate"
	"archiver/internal/supervise"
)

// within bounds what a test waits for.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// inProcess is an archiver on the installation's database and source, with an
// injected clock.
func (in *installation) inProcess(endpoint string, clock archive.Clock) *loop.Archiver {
	in.t.Helper()
	ctx := within(in.t)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if err := supervise.MigrateUp(ctx, in.database, log); err != nil {
		in.t.Fatal(err)
	}
	db, err := pg.Open(ctx, in.database, 4, log)
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(db.Close)
	source, err := functiongraph.New(ctx, functiongraph.Options{
		Region: simulate.DefaultRegion, Endpoint: endpoint, ProjectID: simulate.DefaultProjectID,
		AuthToken: extract.FixedSecret("token", testToken), // a signature would go by the machine's own clock
	}, extract.NewCaller(extract.Options{Concurrency: 4, Timeout: time.Minute, Clock: archive.SystemClock{}, Log: log}), log)
	if err != nil {
		in.t.Fatal(err)
	}
	return &loop.Archiver{
		Source: source, Store: load.New(db, days.New(db)), Clock: clock, Log: log,
		Settle: 10 * time.Minute, SourceRetention: keepsForLong, Concurrency: 4,
	}
}

// dueOrder is what a tick of archiver run orders.
func dueOrder(flags settings.DueFlags, now time.Time, settle time.Duration) archive.Order {
	s := supervise.Source{Source: settings.Source{SourceFlags: settings.SourceFlags{Settle: settle}, DueFlags: flags}}
	return s.DueOrder("run", now)
}

// TestWindowIsDueOnceSettled runs on a schedule with an injected clock. At the tick
// seven minutes after its end, a window has not settled and is not read. It is read at
// the next tick, an hour later.
func TestWindowIsDueOnceSettled(t *testing.T) {
	t.Parallel()
	api, web := simulator(t, generated(t, 3, 3000, 1))
	in := install(t, web.URL)
	clock := clocktest.New(day.Add(12*time.Hour + 30*time.Minute))
	archiver := in.inProcess(web.URL, clock)

	ticks, err := schedule.Parse("7 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(within(t))
	defer stop()
	passed, ended := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(ended)
		schedule.Run(ctx, ticks, clock, archiver.Log, time.Time{}, func(ctx context.Context, tick time.Time) {
			due := settings.DueFlags{Lookback: 4 * time.Hour}
			if _, err := archiver.Archive(ctx, dueOrder(due, tick, archiver.Settle), new(archive.Progress)); err != nil {
				t.Error(err)
			}
			select {
			case passed <- tick:
			case <-ctx.Done():
			}
		})
	}()

	var before int64
	for _, step := range []struct {
		tick time.Time
		last time.Time // the newest window read by then
		read int64     // windows of each function
	}{
		// At 13:07 the window of 12:00 ended seven minutes ago.
		{day.Add(13*time.Hour + 7*time.Minute), day.Add(11 * time.Hour), 4},
		{day.Add(14*time.Hour + 7*time.Minute), day.Add(12 * time.Hour), 5},
		{day.Add(15*time.Hour + 7*time.Minute), day.Add(13 * time.Hour), 6},
	} {
		if err := clock.AwaitSleeper(ctx, step.tick); err != nil {
			t.Fatal(err)
		}
		clock.Advance(step.tick.Sub(clock.Now()))
		select {
		case tick := <-passed:
			if !tick.Equal(step.tick) {
				t.Fatalf("tick at %s, want %s", tick, step.tick)
			}
		case <-ctx.Done():
			t.Fatal("no pass at the tick")
		}
		if last := queryValue[time.Time](in, `SELECT max(window_start) FROM window_coverage WHERE state = 'complete'`); !last.Equal(step.last) {
			t.Errorf("at %s the newest complete window is %s, want %s", step.tick, last, step.last)
		}
		if n := queryValue[int64](in, `SELECT count(*) FROM window_coverage WHERE state = 'complete'`); n != 3*step.read {
			t.Errorf("at %s %d windows are complete, want %d", step.tick, n, 3*step.read)
		}
		if n := queryValue[int64](in, `SELECT count(*) FROM invocations WHERE start_time > $1::timestamptz + interval '1 hour 1 second'`, step.last); n != 0 {
			t.Errorf("at %s %d records of windows that have not settled are archived", step.tick, n)
		}
		calls := api.Stats().ListAsyncInvocations
		if before > 0 && calls-before > 3+3000/500 {
			t.Errorf("at %s the pass made %d calls: complete windows were read again", step.tick, calls-before)
		}
		before = calls
	}
	stop()
	<-ended
}

// TestRunServesAndEnds starts the real binary on a schedule: it is healthy and ready,
// archives at once, and ends with 0 at SIGTERM. After a kill in its first pass, the next
// process waits before it makes one, and with --no-initial-pass for its first tick.
func TestRunServesAndEnds(t *testing.T) {
	t.Parallel()
	api, _ := simulator(t, generated(t, 2, 100, 1))
	g := newGate(api, 1)
	in := install(t, newServer(t, g))
	in.raced = true // no test in process runs this command
	address := freeAddress(t)
	start := func(flags ...string) (*exec.Cmd, *strings.Builder) {
		t.Helper()
		cmd, log := in.command(nil, append([]string{"run", "--schedule", "0 0 1 1 *", "--listen", address}, flags...)...), new(strings.Builder)
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "archiver run to be ready", func() bool { return get("http://"+address+"/readyz") == http.StatusOK })
		return cmd, log
	}
	end := func(cmd *exec.Cmd, log *strings.Builder) {
		t.Helper()
		if err := cmd.Process.Signal(os.Signal(interrupt)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("archiver run at SIGTERM: %v\n%s", err, log.String())
		}
		if !strings.Contains(log.String(), `"msg":"the next pass","tick":"`) {
			t.Errorf("the next pass is not said:\n%s", log.String())
		}
	}
	passes := func() int64 { return queryValue[int64](in, `SELECT count(*) FROM runs`) }

	killed, _ := start()
	<-g.held
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	close(g.opened)
	cmd, log := start()
	end(cmd, log)
	cmd, log = start("--no-initial-pass")
	end(cmd, log)
	if n := passes(); n != 1 {
		t.Errorf("%d passes after a kill, want that of the killed process alone", n)
	}
	queryValue[int64](in, `WITH earlier AS (UPDATE runs SET started_at = started_at - interval '2 minutes' RETURNING 1) SELECT count(*) FROM earlier`)
	cmd, log = start()
	for path, want := range map[string]int{"/healthz": 200, "/": 200, "/metrics": 200, "/elsewhere": 404} {
		if got := get("http://" + address + path); got != want {
			t.Errorf("GET %s: %d, want %d", path, got, want)
		}
	}
	waitFor(t, "the first pass", func() bool {
		return queryValue[string](in, `SELECT string_agg(outcome, ' ' ORDER BY run_id) FROM runs`) == "failed complete"
	})
	end(cmd, log)
}
