package supervise

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
	"archiver/internal/settings"
)

// Each source has its first pass at once, if it is open, and then its passes at its own
// ticks, even while another source is busy.
func TestOwnTicks(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	day := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	clock := clocktest.New(day)
	set := &Set{}
	for name, schedule := range map[string]string{"hourly": "7 * * * *", "often": "*/10 * * * *"} {
		set.Sources = append(set.Sources, &Source{Source: settings.Source{Name: name, Schedule: schedule}, Log: slog.New(slog.DiscardHandler)})
		if name == "hourly" {
			set.Sources[len(set.Sources)-1].Err = errors.New("denied")
		}
	}
	worked, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- set.atTicks(ctx, clock, day, func(ctx context.Context, s *Source, tick time.Time) {
			worked <- s.Name + tick.Format(" 15:04")
			if s.Name == "hourly" {
				<-ctx.Done() // busy
			}
		})
	}()
	// Both sleep before the clock moves: what a source sleeps is counted from what it has read.
	for _, first := range []int{7, 10} {
		if err := clock.AwaitSleeper(ctx, day.Add(time.Duration(first)*time.Minute)); err != nil {
			t.Fatalf("no source waits for 00:%02d", first)
		}
	}
	for _, want := range []string{"often 00:00", "hourly 00:07", "often 00:10", "often 00:20"} {
		tick, err := time.Parse("15:04", want[len(want)-5:])
		if err != nil {
			t.Fatal(err)
		}
		at := day.Add(time.Duration(tick.Hour())*time.Hour + time.Duration(tick.Minute())*time.Minute)
		if at.After(day) {
			if err := clock.AwaitSleeper(ctx, at); err != nil {
				t.Fatalf("no source waits for %s", want)
			}
			clock.Advance(at.Sub(clock.Now()))
		}
		select {
		case got := <-worked:
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("no pass at %s", want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
