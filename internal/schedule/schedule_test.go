package schedule_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the rules of time zones, which a machine may lack

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/schedule"
)

// patience is how long a test waits for what must happen at once. Each test is a
// bubble of testing/synctest, so this takes no real time.
const patience = 10 * time.Second

// A scheduled is a running schedule.
type scheduled struct {
	t     *testing.T
	clock *clocktest.Clock
	end   context.CancelFunc
	ended chan struct{}
	logs  *records
}

func start(t *testing.T, expression string, clock *clocktest.Clock, shown archive.Clock, job func(context.Context, time.Time)) *scheduled {
	t.Helper()
	return startAt(t, expression, clock, shown, time.Time{}, job)
}

func startAt(t *testing.T, expression string, clock *clocktest.Clock, shown archive.Clock, first time.Time, job func(context.Context, time.Time)) *scheduled {
	t.Helper()
	ticks, err := schedule.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &scheduled{t: t, clock: clock, end: cancel, ended: make(chan struct{}), logs: new(records)}
	go func() {
		defer close(s.ended)
		schedule.Run(ctx, ticks, shown, slog.New(s.logs), first, job)
	}()
	t.Cleanup(func() {
		cancel()
		await(t, "the end of the schedule", s.ended)
	})
	return s
}

// to moves the clock to a tick. Before, it waits until the schedule sleeps until that
// tick and every goroutine of the last tick is idle.
func (s *scheduled) to(tick time.Time) {
	s.t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.clock.AwaitSleeper(ctx, tick); err != nil {
		s.t.Fatalf("no job waits for %v", tick)
	}
	s.clock.Advance(tick.Sub(s.clock.Now()))
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Errorf("%s did not come", what)
	}
	return v
}

// records collects the lines of the log.
type records struct {
	mu   sync.Mutex
	list []slog.Record
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *records) WithGroup(string) slog.Handler            { return r }

func (r *records) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, record)
	return nil
}

// said returns the messages of a level, and the ticks that they name.
func (r *records) said(level slog.Level) (messages []string, ticks []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.list {
		if record.Level != level {
			continue
		}
		messages = append(messages, record.Message)
		record.Attrs(func(a slog.Attr) bool {
			if a.Key == "tick" {
				ticks = append(ticks, a.Value.Time())
			}
			return true
		})
	}
	return messages, ticks
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func TestTicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := clocktest.New(noon.Add(7*time.Minute - time.Nanosecond))
		ran := make(chan time.Time, 1)
		s := start(t, "7 * * * *", clock, clock, func(_ context.Context, tick time.Time) { ran <- tick })
		for i := range 3 {
			want := noon.Add(time.Duration(i)*time.Hour + 7*time.Minute)
			s.to(want)
			if got := await(t, "the job", ran); !got.Equal(want) || got.Location() != time.UTC {
				t.Errorf("the job got %v, want %v", got, want)
			}
		}
		if messages, _ := s.logs.said(slog.LevelWarn); len(messages) > 0 {
			t.Errorf("warned of %q", messages)
		}
	})
}

// A tick at the time of the start is not run: the next tick is.
func TestStartedAtATick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := clocktest.New(noon)
		ran := make(chan time.Time, 1)
		s := start(t, "0 * * * *", clock, clock, func(_ context.Context, tick time.Time) { ran <- tick })
		s.to(noon.Add(time.Hour))
		if got := await(t, "the job", ran); !got.Equal(noon.Add(time.Hour)) {
			t.Errorf("the first tick is %v", got)
		}
	})
}

// A tick at which the last job is still busy is skipped and logged. Skipped ticks are
// not run later.
func TestBusyTicksAreSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := clocktest.New(noon)
		began, goOn, over := make(chan time.Time), make(chan struct{}), make(chan struct{})
		s := start(t, "0 * * * *", clock, clock, func(_ context.Context, tick time.Time) {
			began <- tick
			<-goOn
			over <- struct{}{}
		})
		s.to(noon.Add(time.Hour))
		await(t, "the job", began)
		s.to(noon.Add(2 * time.Hour))
		s.to(noon.Add(3 * time.Hour)) // is waited for after the one before was skipped
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := clock.AwaitSleeper(ctx, noon.Add(4*time.Hour)); err != nil {
			t.Fatal("the schedule waits for the job")
		}
		messages, ticks := s.logs.said(slog.LevelWarn)
		if len(ticks) != 2 || !ticks[0].Equal(noon.Add(2*time.Hour)) || !ticks[1].Equal(noon.Add(3*time.Hour)) {
			t.Errorf("said %q of the ticks %v", messages, ticks)
		}
		for _, m := range messages {
			if !strings.Contains(m, "skipped") {
				t.Errorf("said %q", m)
			}
		}
		goOn <- struct{}{}
		await(t, "the end of the job", over)
		s.to(noon.Add(4 * time.Hour))
		if got := await(t, "the job", began); !got.Equal(noon.Add(4 * time.Hour)) {
			t.Errorf("the job got %v", got)
		}
		close(goOn)
		await(t, "the end of the job", over)
	})
}

// The first job begins at once, or at the time that it is given, if no tick comes earlier. The
// log has the next tick at the start, and after each job. A tick within the first job is
// skipped.
func TestFirst(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for name, test := range map[string]struct {
		expression string
		first      time.Duration // after noon
		jobs, said []time.Duration
		skipped    int
		firstTakes time.Duration
	}{
		"at once":               {"7 * * * *", 0, []time.Duration{0, 7 * minute, 67 * minute}, []time.Duration{0, 7 * minute, 67 * minute, 127 * minute}, 0, 0},
		"at a tick":             {"0 * * * *", 0, []time.Duration{0, 60 * minute}, []time.Duration{0, 60 * minute, 120 * minute}, 0, 0},
		"after a crash":         {"7 * * * *", minute, []time.Duration{minute, 7 * minute, 67 * minute}, []time.Duration{minute, 7 * minute, 67 * minute, 127 * minute}, 0, 0},
		"the tick comes first":  {"7 * * * *", 8 * minute, []time.Duration{7 * minute, 67 * minute}, []time.Duration{7 * minute, 67 * minute, 127 * minute}, 0, 0},
		"busy until the second": {"7 * * * *", 0, []time.Duration{0, 67 * minute}, []time.Duration{0, 67 * minute, 127 * minute}, 1, 8 * minute},
		"no tick":               {"0 0 30 2 *", 0, []time.Duration{0}, []time.Duration{0}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				clock := clocktest.New(noon)
				var ran []time.Duration
				takes := test.firstTakes
				s := startAt(t, test.expression, clock, clock, noon.Add(test.first), func(ctx context.Context, tick time.Time) {
					ran = append(ran, tick.Sub(noon))
					if err := clock.Sleep(ctx, takes); err != nil {
						t.Error(err)
					}
					takes = 0
				})
				for end := noon.Add(70 * minute); clock.Now().Before(end); {
					synctest.Wait()
					clock.Advance(minute)
				}
				synctest.Wait()
				s.end()
				await(t, "the end of the schedule", s.ended)
				if !slices.Equal(ran, test.jobs) {
					t.Errorf("jobs ran at %v, want %v", ran, test.jobs)
				}
				_, ticks := s.logs.said(slog.LevelInfo)
				var said []time.Duration
				for _, tick := range ticks {
					said = append(said, tick.Sub(noon))
				}
				if !slices.Equal(said, test.said) {
					t.Errorf("said %v, want %v", said, test.said)
				}
				if _, skipped := s.logs.said(slog.LevelWarn); len(skipped) != test.skipped {
					t.Errorf("%d ticks are skipped, want %d", len(skipped), test.skipped)
				}
			})
		})
	}
}

// When its context ends, the schedule cancels a job that is still busy and waits for
// the job.
func TestEndWaitsForTheJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := clocktest.New(noon)
		began, heard, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
		s := start(t, "0 * * * *", clock, clock, func(ctx context.Context, _ time.Time) {
			close(began)
			<-ctx.Done()
			close(heard)
			<-goOn
		})
		s.to(noon.Add(time.Hour))
		await(t, "the job", began)
		s.end()
		await(t, "the job to hear of the end", heard)
		select {
		case <-s.ended:
			t.Error("the schedule ended before its job")
		default:
		}
		close(goOn)
		await(t, "the end of the schedule", s.ended)
	})
}

func TestEndBetweenTicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := clocktest.New(noon)
		s := start(t, "0 * * * *", clock, clock, func(context.Context, time.Time) { t.Error("the job ran") })
		s.end()
		await(t, "the end of the schedule", s.ended)
	})
}

// The schedule logs that a day such as 30 February never comes, and waits for the end.
func TestNoFurtherTick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := clocktest.New(noon)
		s := start(t, "0 0 30 2 *", clock, clock, func(context.Context, time.Time) { t.Error("the job ran") })
		s.end()
		await(t, "the end of the schedule", s.ended)
		if messages, _ := s.logs.said(slog.LevelError); len(messages) != 1 {
			t.Errorf("said %q", messages)
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"7 * * * *", "*/5 0-6 1,15 * 1-5", "0 3 * * SUN", " 7  * * * * "} {
		if _, err := schedule.Parse(expression); err != nil {
			t.Errorf("%q is refused: %v", expression, err)
		}
	}
	for _, expression := range []string{
		"", "7 * * *", "0 7 * * * *", "60 * * * *", "7 24 * * *", "often", "7 * * * * # hourly",
		// A local time may come twice or never.
		"TZ=Europe/Berlin 7 * * * *", "CRON_TZ=Asia/Shanghai 7 * * * *",
	} {
		if _, err := schedule.Parse(expression); err == nil {
			t.Errorf("%q is no error", expression)
		} else if !strings.Contains(err.Error(), expression) {
			t.Errorf("the error for %q does not name it: %v", expression, err)
		}
	}
}
