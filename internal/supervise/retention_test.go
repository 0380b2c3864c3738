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

const aDay = 24 * time.Hour

// No single clock decides what retention drops, and a pass that failed drops nothing.
func TestRetention(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	log := slog.New(slog.DiscardHandler)
	source := &Source{Source: settings.Source{DueFlags: settings.DueFlags{Lookback: aDay, Retention: 400 * aDay}}}
	now := time.Now().UTC()
	by := func(clock time.Time) Retention { return NewRetention(a.DB, []*Source{source}, clocktest.New(clock)) }
	before := func(clock time.Time, expected bool) time.Time {
		t.Helper()
		before, err := by(clock).dropBefore(t.Context(), clock, expected)
		if err != nil {
			t.Fatal(err)
		}
		return before
	}
	near := func(what string, got, want time.Time) {
		t.Helper()
		if got.Sub(want).Abs() > time.Minute {
			t.Errorf("%s: what began before %s is dropped, want %s", what, got, want)
		}
	}
	near("an empty archive", before(now, false), now.Add(-400*aDay))

	// A source that has read nothing yet keeps everything.
	c, first := a.NewClaim("f"), archive.WindowOf(now).Add(-410*aDay)
	loadtest.Commit(t, c, loadtest.Page(loadtest.Hours(first, 1), now, loadtest.Record("r", archive.StatusSuccess, first)))
	if got := before(now, false); !got.IsZero() {
		t.Errorf("with nothing complete, what began before %s is dropped", got)
	}
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(first, 1), now, loadtest.Record("r", archive.StatusSuccess, first)))
	near("the newest hour is old", before(now, false), first.Add(archive.Hour-400*aDay))
	near("by a clock ahead", before(now.Add(800*aDay), false), first.Add(archive.Hour-400*aDay))

	hour := archive.WindowOf(now).Add(-archive.Hour)
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(hour, 1), now))
	near("all is well", before(now, false), hour.Add(archive.Hour-400*aDay))
	near("a clock behind", before(now.Add(-aDay), false), now.Add(-401*aDay))
	loadtest.Commit(t, c, loadtest.LastPage(loadtest.Hours(hour.Add(900*aDay), 1), now))
	near("the database's clock alone is right", before(now.Add(800*aDay), false), now.Add(-400*aDay))
	a.Exec(`DELETE FROM windows WHERE window_start > $1`, now)

	rows := func() int { return loadtest.Value[int](a, `SELECT count(*) FROM invocations`) }
	set := &Set{DB: a.DB, Sources: []*Source{source}, days: a.Days}
	for _, clock := range []time.Time{now, now.Add(410 * aDay)} {
		m := set.Maintenance(clocktest.New(clock))
		m.After(t.Context(), clock, errors.New("denied"), log)
		m.After(t.Context(), clock, settings.Errors{&archive.IncompleteError{}, &archive.ClockError{}}, log)
	}
	if rows() != 1 {
		t.Fatal("a pass that failed as a whole dropped a day")
	}

	// A source that is retired keeps what is young by its own newest hour.
	a.Exec(`
		INSERT INTO functions (provider, region, project_id, function_urn, function_name, first_seen, last_seen)
		VALUES ('functioncompute', 'r', 'p', 'urn:old', 'old', now(), now())`)
	a.Exec(`
		INSERT INTO windows (function_id, window_start, planned, state)
		SELECT function_id, $1, true, 'expired' FROM functions WHERE function_name = 'old'`, first)
	near("a retired source", before(now, true), first.Add(archive.Hour-400*aDay))
	a.Exec(`DELETE FROM windows WHERE state = 'expired'`)

	next, err := by(now).Next(t.Context())
	if err != nil || len(next.Days) != 1 || next.Rows != 1 || next.Extra != 1 {
		t.Errorf("the first pass drops %v, %v", next, err)
	}
	a.Exec(`
		INSERT INTO runs (asked_by, range_from, range_to, started_at, outcome)
		VALUES ('once', $1, $1, $2, 'complete'), ('once', $1, $1, $1, 'failed')`, now, now.Add(-11*aDay))
	if next, err = by(now).Next(t.Context()); err != nil || len(next.Days) != 1 || next.Extra != 0 {
		t.Errorf("after a pass of 11 days ago, the next drops %v, %v", next, err)
	}
	a.Exec(`
		INSERT INTO runs (asked_by, range_from, range_to, started_at, outcome)
		VALUES ('once', $1, $1, $2, 'complete')`, now, now.Add(2*time.Hour))
	if next, err = by(now).Next(t.Context()); err != nil || next.Extra != 1 {
		t.Errorf("after a pass of the future, the next drops %v, %v", next, err)
	}
	set.Maintenance(clocktest.New(now)).After(t.Context(), now, &archive.IncompleteError{Short: 1}, log)
	if rows() != 0 {
		t.Error("the day is left")
	}
}
