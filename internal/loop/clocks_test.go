package loop

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
)

// A timedSource says how far its clock is ahead, by its answers to lists of functions.
type timedSource struct {
	archive.Source
	ahead  time.Duration
	answer int64
	away   error // instead of an answer
	empty  bool  // its list has no page
	silent bool  // its answers do not say
}

func (s *timedSource) Ahead() (time.Duration, int64) { return s.ahead, s.answer }

func (s *timedSource) Functions(ctx context.Context) iter.Seq2[[]archive.Function, error] {
	return func(yield func([]archive.Function, error) bool) {
		if s.away != nil {
			yield(nil, s.away)
			return
		}
		if !s.silent {
			s.answer++
		}
		if s.empty {
			return
		}
		s.Source.Functions(ctx)(yield)
	}
}

// The clocks of this machine, the database and the source differ. An hour that has not
// ended by the slowest of them is not read, and if they differ by more than settle, none is.
func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	const complete = archive.StateComplete
	for name, test := range map[string]struct {
		source, database time.Duration // ahead of this machine's clock
		settle           time.Duration
		ignore, jump     bool
		wrong, warns     bool
		last             archive.State // of the hour from 05:00 to 06:00; it is 06:12
	}{
		"equal":                  {settle: 10 * time.Minute, last: complete},
		"source somewhat behind": {source: -3 * time.Minute, settle: 10 * time.Minute},
		"source behind":          {source: -6 * time.Minute, settle: 10 * time.Minute, warns: true},
		"source ahead":           {source: 6 * time.Minute, settle: 10 * time.Minute, warns: true, last: complete},
		"database behind":        {database: -6 * time.Minute, settle: 10 * time.Minute, warns: true},
		"source wrong":           {source: -2 * time.Hour, settle: 10 * time.Minute, wrong: true},
		"source far ahead":       {source: 410 * 24 * time.Hour, settle: 10 * time.Minute, wrong: true},
		"source ignored":         {source: -2 * time.Hour, settle: 10 * time.Minute, ignore: true, last: complete},
		"database wrong":         {database: -11 * time.Minute, settle: 10 * time.Minute, wrong: true},
		"on either side":         {source: -6 * time.Minute, database: 6 * time.Minute, settle: 10 * time.Minute, wrong: true},
		"at least two minutes":   {source: -90 * time.Second, settle: 0, warns: true, last: complete},
		"with settle 0":          {source: -2 * time.Second, settle: 0, last: complete},
		"more than two minutes":  {source: -121 * time.Second, settle: 0, wrong: true},
		"the clock jumps":        {settle: 10 * time.Minute, jump: true, last: complete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10, alpha)
			w.source.records[alpha.URN] = many("a", hour(28), 30)
			w.clock.Advance(12 * time.Minute)
			if test.jump {
				w.source.before = func(context.Context, ask) error { w.clock.Advance(2 * time.Hour); return nil }
			}
			var log strings.Builder
			a := w.archiver()
			a.Settle, a.IgnoreClocks, a.Log = test.settle, test.ignore, slog.New(slog.NewTextHandler(&log, nil))
			a.Source = &timedSource{Source: a.Source, ahead: test.source}
			a.StoreAhead = func(context.Context, archive.Clock) (time.Duration, error) { return test.database, nil }
			asked := span(28, 30)
			summary, err := a.Archive(t.Context(), archive.Order{AskedBy: "once", Older: true, Range: asked}, new(archive.Progress))
			if warned := strings.Contains(log.String(), "clocks differ"); warned != test.warns {
				t.Errorf("a warning: %v, the log:\n%s", warned, log.String())
			}
			if test.wrong {
				var differ *archive.ClockError
				if !errors.As(err, &differ) || !strings.Contains(err.Error(), "this machine 2026-03-15T06:12:00Z, the database 2026-03-15T0") {
					t.Errorf("the run ended with %v", err)
				}
				if hint := strings.Contains(err.Error(), "--ignore-clocks"); hint != (test.database.Abs() < 10*time.Minute) {
					t.Errorf("%v names --ignore-clocks: %v", err, hint)
				}
				if len(w.source.asked()) != 0 || len(w.db.functions) != 0 || archive.RunOutcome(w.db.runs[0].err) != "failed" {
					t.Errorf("%d pages were asked for, %d functions are kept, the run is noted as %v", len(w.source.asked()), len(w.db.functions), w.db.runs[0].err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if test.last == "" {
				asked.To = hour(29)
			}
			if summary.Range != asked || summary.NotDue != 0 {
				t.Errorf("the range is %s, want %s; %d windows have not settled", summary.Range, asked, summary.NotDue)
			}
			w.states(alpha, span(28, 32), complete, test.last, "", "")
		})
	}
}

// The slowest clock is seconds behind when the hour ends: the run waits for it.
func TestHourEndsSoon(t *testing.T) {
	t.Parallel()
	for behind, want := range map[time.Duration]time.Duration{0: 0, time.Millisecond: time.Millisecond, 3 * time.Second: 3 * time.Second} {
		w := newWorld(t, 10, alpha)
		w.source.records[alpha.URN] = many("a", hour(28), 30)
		w.clock.Advance(10 * time.Minute)
		began := w.clock.Now()
		a := w.archiver()
		a.Clock, a.Settle = hasty{w.clock}, 10*time.Minute
		a.StoreAhead = func(context.Context, archive.Clock) (time.Duration, error) { return -behind, nil }
		if summary, err := a.Archive(t.Context(), archive.Order{Older: true, Range: span(28, 30)}, new(archive.Progress)); err != nil || summary.Range != span(28, 30) {
			t.Errorf("%s behind: %s is read, %v", behind, summary.Range, err)
		}
		w.states(alpha, span(28, 30), archive.StateComplete, archive.StateComplete)
		if waited := w.clock.Now().Sub(began); waited != want {
			t.Errorf("%s behind: the run waits for %s", behind, waited)
		}
	}
}

// An answer of an earlier run says nothing of the source's clock now, and a run whose clocks
// differ proves no window.
func TestClocksOfThisRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(28), 30)
	w.clock.Advance(12 * time.Minute)
	source := &timedSource{Source: w.archiver().Source, ahead: 3 * time.Hour, answer: 7}
	run := func() (archive.Summary, error) {
		a := w.archiver()
		a.Settle, a.Source = 10*time.Minute, source
		return a.Archive(t.Context(), archive.Order{Older: true, Range: span(28, 30)}, new(archive.Progress))
	}
	source.away = errServer
	if summary, err := run(); !errors.Is(err, errServer) || summary.Apart != 0 {
		t.Errorf("without an answer, the run ends with %v, %s", err, summary.Apart)
	}
	var differ *archive.ClockError
	source.away, source.empty = nil, true
	if _, err := run(); !errors.As(err, &differ) {
		t.Errorf("with an empty list, the run ends with %v", err)
	}
	source.empty, source.ahead = false, -3*time.Minute
	if summary, err := run(); err != nil || summary.Doubt != "" || summary.Apart != 3*time.Minute {
		t.Errorf("the run ends with %v, %q", err, summary.Doubt)
	}
	source.ahead = -6 * time.Minute
	if summary, err := run(); err != nil || !strings.HasPrefix(summary.Doubt, "clocks differ by 6m0s, more than half of --settle") {
		t.Errorf("the run ends with %v, %q", err, summary.Doubt)
	}
	source.ahead = 3 * time.Hour
	w.db.mu.Lock()
	w.db.learned = []archive.Learned{{What: archive.LearnedAge, Value: int64(1000 * time.Hour / time.Second), At: w.clock.Now()}}
	w.db.windows[1][hour(2)] = windowRow{state: archive.StateExpired, expired: archive.Expired{Unproven: true}}
	w.db.mu.Unlock()
	if _, err := run(); !errors.As(err, &differ) {
		t.Errorf("the run ends with %v", err)
	}
	w.states(alpha, span(2, 3), archive.StateExpired)
	source.ahead = 0
	if _, err := run(); err != nil {
		t.Error(err)
	}
	w.states(alpha, span(2, 3), archive.StateComplete)
}

// By a clock that is behind, all that is right lies in the future. It is reset only if the
// source says what time it is, and agrees.
func TestNothingIsResetByAClockBehind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source timedSource // at the clock behind
		ignore bool
		reset  bool
	}{
		"the source cannot be reached": {source: timedSource{away: errServer}},
		"it answered an earlier run":   {source: timedSource{away: errServer, answer: 7}},
		"its answers have no Date":     {source: timedSource{silent: true}},
		"its Date is ignored":          {ignore: true},
		"it differs":                   {source: timedSource{ahead: 28 * time.Hour}},
		"it agrees":                    {source: timedSource{ahead: time.Second}, reset: true},
	} {
		w := newWorld(t, 10, alpha)
		w.source.records[alpha.URN] = many("a", hour(28), 30)
		w.complete(span(24, 29))
		a := w.archiver()
		a.Clock, a.Settle, a.IgnoreClocks = clocktest.New(hour(2)), 10*time.Minute, test.ignore
		a.StoreAhead = func(context.Context, archive.Clock) (time.Duration, error) { return 0, nil } // on this machine
		source := test.source
		source.Source, a.Source = a.Source, &source
		_, err := a.Archive(t.Context(), archive.Order{AskedBy: "run", Older: true, Range: span(0, 1)}, new(archive.Progress))
		if failed := err != nil; failed != (source.away != nil || source.ahead > time.Minute) {
			t.Errorf("%s: the run ends with %v", name, err)
		}
		state := archive.StateComplete
		if test.reset {
			state = ""
		}
		if got := w.db.state(alpha.URN, hour(28)).state; got != state {
			t.Errorf("%s: the hour is %q, want %q", name, got, state)
		}
	}
}
