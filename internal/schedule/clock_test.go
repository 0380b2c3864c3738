package schedule_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"archiver/internal/archive/clocktest"
)

// A local clock gives its time in a time zone.
type local struct {
	*clocktest.Clock
	zone *time.Location
}

func (l local) Now() time.Time { return l.Clock.Now().In(l.zone) }

// On a day on which local clocks change, each UTC hour has exactly one tick.
func TestClockChange(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range []time.Time{
		time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC),  // the local time from 02:00 to 03:00 does not exist
		time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), // and comes twice
	} {
		for expression, want := range map[string][]time.Duration{
			"30 * * * *": hours(0, 24),
			"30 2 * * *": hours(2, 3),
			"30 0 * * *": hours(0, 1), // 02:30 there in summer
		} {
			t.Run(day.Format(time.DateOnly)+" "+expression, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					clock := clocktest.New(day)
					ran := make(chan time.Time, 1)
					s := start(t, expression, clock, local{clock, berlin}, func(_ context.Context, tick time.Time) { ran <- tick })
					for _, after := range want {
						s.to(day.Add(after))
						if got := await(t, "the job", ran); !got.Equal(day.Add(after)) || got.Location() != time.UTC {
							t.Errorf("the job got %v, want %v", got, day.Add(after))
						}
					}
					// The next tick is on the next day.
					next := day.Add(24*time.Hour + want[0])
					s.to(next)
					if got := await(t, "the job", ran); !got.Equal(next) {
						t.Errorf("the next day's job got %v, want %v", got, next)
					}
				})
			})
		}
	}
}

func hours(from, to int) (list []time.Duration) {
	for n := from; n < to; n++ {
		list = append(list, time.Duration(n)*time.Hour+30*time.Minute)
	}
	return list
}

// A hasty clock is a little behind after each sleep, as if it had been set back during
// the sleep.
type hasty struct {
	*clocktest.Clock
	mu    sync.Mutex
	early time.Duration
}

func (h *hasty) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Clock.Now().Add(-h.early)
}

func (h *hasty) Sleep(ctx context.Context, d time.Duration) error {
	h.mu.Lock()
	d -= h.early
	h.mu.Unlock()
	err := h.Clock.Sleep(ctx, d)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.early = 300 * time.Millisecond
	return err
}

// A tick is run once, even if the clock then says that the tick is still to come.
func TestClockSetBackALittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := clocktest.New(noon)
		ran := make(chan time.Time, 1)
		s := start(t, "0 * * * *", clock, &hasty{Clock: clock}, func(_ context.Context, tick time.Time) { ran <- tick })
		s.to(noon.Add(time.Hour))
		if got := await(t, "the job", ran); !got.Equal(noon.Add(time.Hour)) {
			t.Errorf("the job got %v", got)
		}
		s.to(noon.Add(2 * time.Hour))
		if got := await(t, "the job", ran); !got.Equal(noon.Add(2 * time.Hour)) {
			t.Errorf("the job got %v", got)
		}
	})
}
