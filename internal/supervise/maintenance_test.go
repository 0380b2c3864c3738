package supervise

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
	"archiver/internal/settings"
)

// Callers that come during a pass return at once. After that pass comes the pass of the
// last of them, or of the last that may drop days.
func TestPasses(t *testing.T) {
	t.Parallel()
	for _, of := range []struct {
		drops [3]bool
		order string
	}{
		{[3]bool{true, true, true}, "a.zc"},
		{[3]bool{true, true, false}, "a.yc"},
		{[3]bool{true, false, false}, "a.xc"},
		{[3]bool{false, true, false}, "a.yc"},
		{[3]bool{}, "a.zc"},
	} {
		var p passes
		var order string
		p.run(true, func() {
			order += "a"
			if order == "a" {
				for i, drops := range of.drops {
					p.run(drops, func() { order += string(rune('x' + i)) })
				}
			}
			order += "."
		})
		p.run(false, func() { order += "c" })
		if order != of.order {
			t.Errorf("%v: %s, want %s", of.drops, order, of.order)
		}
	}
}

// A pass that failed as a whole keeps no days from being merged, and no statistics from
// being made. No single clock decides which months are old.
func TestMaintenanceAfterAFailedPass(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c, may, now := a.NewClaim("f"), time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC), time.Now().UTC()
	log := slog.New(slog.DiscardHandler)
	commit := func(hours archive.Span) {
		t.Helper()
		loadtest.Commit(t, c, loadtest.LastPage(hours, loadtest.Noted, loadtest.Many(48, hours, hours.From.Format("r060102-"))...))
	}
	commit(loadtest.Hours(may, 48))
	source := &Source{Source: settings.Source{DueFlags: settings.DueFlags{Lookback: aDay, Retention: 4000 * aDay}}}
	set := &Set{DB: a.DB, Sources: []*Source{source}, days: a.Days}
	after := func(clock time.Time, ended error) {
		t.Helper()
		a.Days.UseClock(clocktest.New(clock))
		m := set.Maintenance(clocktest.New(clock))
		m.MakeDays(t.Context(), log)
		m.AfterTick(t.Context(), clock, ended, log)
		if !loadtest.Value[bool](a, `SELECT EXISTS (SELECT FROM pg_stats WHERE tablename = 'functions')`) {
			t.Errorf("after %v: no statistics", ended)
		}
	}
	inMonth := func(day time.Time) bool {
		return loadtest.Value[bool](a, `SELECT to_regclass($1) IS NOT NULL`, day.Format("archiver_days.invocations_200601"))
	}
	ahead := now.AddDate(2, 0, 0)
	after(ahead, errors.New("no route to host"))
	if inMonth(may) {
		t.Error("a month is old that ends with the newest hour of the archive")
	}
	if inMonth(now) {
		t.Error("before the pass, a clock ahead makes a month of the database's today")
	}
	if months, err := set.Retention(clocktest.New(now)).Unmerged(t.Context()); err != nil || len(months) != 1 {
		t.Errorf("the next pass merges %v, %v", months, err)
	}
	yesterday := now.Truncate(aDay).Add(-aDay)
	commit(loadtest.Hours(yesterday, 24))
	after(ahead, settings.Errors{&archive.ClockError{}})
	if !inMonth(may) {
		t.Error("an old month is not merged")
	}
	if inMonth(yesterday) {
		t.Error("by a clock ahead, yesterday became a month")
	}
	commit(loadtest.Hours(now.Truncate(aDay).AddDate(3, 0, 0), 1))
	after(ahead, errors.New("no route to host"))
	if inMonth(yesterday) {
		t.Error("by a clock ahead and windows of an earlier one, yesterday became a month")
	}
}
