package loop

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

// A timedSource says how far its clock is ahead.
type timedSource struct {
	archive.Source
	ahead time.Duration
}

func (s timedSource) Ahead() (time.Duration, bool) { return s.ahead, true }

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
			a.Source = timedSource{a.Source, test.source}
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
