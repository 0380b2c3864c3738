package terminal

import (
	"testing"
	"time"

	"archiver/internal/archive"
)

// TestBarText shows what is left out first where there is less and less room.
func TestBarText(t *testing.T) {
	t.Parallel()
	f := reading{
		Totals: archive.Totals{Windows: 8760, Done: 1234, Inserted: 123_456}, calls: 3400, refused: 2,
		rate: 1543, left: 72 * time.Minute, throttled: true,
	}
	for columns, want := range map[int]string{
		100: "1234/8760 windows, 123k records, 1543/s, 3400 calls, throttled, 1h12m left",
		70:  "1234/8760 windows, 123k records, 1543/s, throttled, 1h12m left",
		60:  "1234/8760 windows, 123k records, throttled, 1h12m left",
		45:  "1234/8760 windows, throttled, 1h12m left",
		30:  "1234/8760 windows, throttled",
		20:  "1234/8760 windows",
		9:   "1234/8760",
		0:   "",
	} {
		if planned, got := barText(f, false, columns); !planned || got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
	f.FigureDays, f.Counted, f.Months, f.Merged, f.atLeast = 31, 31, 15, 2, true
	if planned, got := barText(f, false, 100); !planned || got != "days of 2/15 months merged, 3400 calls, throttled, at least 1h12m left" {
		t.Errorf("while days are merged: %q", got)
	}
	f.Finishing, f.left, f.atLeast = true, time.Second, false
	if planned, got := barText(f, false, 100); !planned || got != "making statistics, 3400 calls, throttled, 1s left" {
		t.Errorf("at last: %q", got)
	}
	for _, f := range []struct {
		reading
		compares bool
		want     string
	}{
		{reading{}, false, "looking for what is due, 0 calls"},
		{reading{Totals: archive.Totals{Compared: 44, Differ: 2}, calls: 7}, true, "44 windows compared, 2 differ, 7 calls"},
	} {
		if planned, got := barText(f.reading, f.compares, 80); planned || got != f.want {
			t.Errorf("%q, want %q", got, f.want)
		}
	}
}
