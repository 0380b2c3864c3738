package schedule_test

import (
	"testing"
	"time"

	"archiver/internal/schedule"
)

func TestShortest(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]time.Duration{
		"7 * * * *": time.Hour, "*/10 9-17 * * *": 10 * time.Minute, "0 0,6 * * *": 6 * time.Hour,
		"0 0 * * 1": 7 * 24 * time.Hour, "* * * * *": time.Minute,
	} {
		ticks, err := schedule.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule.Shortest(ticks, time.Date(2026, 3, 14, 17, 55, 0, 0, time.UTC)); got != want {
			t.Errorf("%s: %s, want %s", expression, got, want)
		}
	}
}
