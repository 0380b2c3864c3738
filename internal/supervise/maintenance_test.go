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
// last of them: what it drops goes by how this one ended.
func TestPasses(t *testing.T) {
	t.Parallel()
	var p passes
	var order string
	p.run(func() {
		order += "a"
		if order == "a" {
			for i := range 3 {
				p.run(func() { order += string(rune('x' + i)) })
			}
		}
		order += "."
	})
	p.run(func() { order += "c" })
	if order != "a.zc" {
		t.Error(order)
	}
}

// A pass that failed as a whole keeps no days from being merged, and no statistics from
// being made. Clocks that differ keep days from being merged.
func TestMaintenanceAfterAFailedPass(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	c, may := a.NewClaim("f"), time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)
	for n := range 2 {
		hours := loadtest.Hours(may.AddDate(0, 0, n), 24)
		loadtest.Commit(t, c, loadtest.LastPage(hours, loadtest.Noted, loadtest.Many(48, hours, hours.From.Format("r0102-"))...))
	}
	clock := clocktest.New(loadtest.Noted)
	a.Days.UseClock(clock)
	source := &Source{Source: settings.Source{DueFlags: settings.DueFlags{Lookback: aDay, Retention: 2000 * aDay}}}
	m := (&Set{DB: a.DB, Sources: []*Source{source}, days: a.Days}).Maintenance(clock)
	for _, ended := range []struct {
		err    error
		merged bool
	}{{settings.Errors{&archive.ClockError{}}, false}, {errors.New("denied"), true}} {
		m.AfterTick(t.Context(), loadtest.Noted, ended.err, slog.New(slog.DiscardHandler))
		if got := loadtest.Value[bool](a, `SELECT to_regclass('archiver_days.invocations_202505') IS NOT NULL`); got != ended.merged {
			t.Errorf("after %v: days are merged: %v", ended.err, got)
		}
		if !loadtest.Value[bool](a, `SELECT EXISTS (SELECT FROM pg_stats WHERE tablename = 'functions')`) {
			t.Errorf("after %v: no statistics", ended.err)
		}
	}
}
