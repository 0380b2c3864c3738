package read_test

import (
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/read"
)

// A run that is no pass, or whose process died, hides no missed pass. After a pass that has
// lasted for long the next ones have time to come. A source that was given up alarms nobody.
func TestMissedPasses(t *testing.T) {
	t.Parallel()
	a := loadtest.New(t, load.New)
	shop := archive.Origin{ID: archive.SourceID{Provider: "functiongraph", Region: "eu-de", ProjectID: "p"}, Name: "shop"}
	begin := func(by string, at time.Time) archive.RunID {
		t.Helper()
		shop.Ticks = [2]time.Time{at.Add(time.Hour), at.Add(2 * time.Hour)}
		id, err := a.Store.BeginRun(t.Context(), archive.Order{AskedBy: by, Source: shop, Range: loadtest.Span(0, 6)}, at)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	end := func(id archive.RunID, at time.Time) {
		t.Helper()
		if err := a.Store.EndRun(t.Context(), id, archive.Summary{}, nil, at); err != nil {
			t.Fatal(err)
		}
	}
	missed := func(when string, now time.Time, want bool) {
		t.Helper()
		o, err := a.Read.Overview(t.Context(), now, read.Times{Given: 72 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s := o.Verdict.Sources[0]
		if s.IgnoredAt != nil && (s.Level != read.OK || len(o.Sources) > 0) {
			t.Errorf("%s: %+v", when, o)
		}
		if got := slices.ContainsFunc(s.Reasons, func(r read.Reason) bool { return r.About == read.AboutSchedule }); got != want {
			t.Errorf("%s: passes were missed: %t, want %t: %+v", when, got, want, s)
		}
	}
	at := loadtest.Noted
	long := begin("run", at)
	if err := a.Store.NoteRun(t.Context(), long, archive.Noted{}, at.Add(5*time.Hour)); err != nil {
		t.Fatal(err)
	}
	missed("a pass goes on for five hours", at.Add(5*time.Hour), false)
	end(long, at.Add(5*time.Hour))
	missed("it has ended", at.Add(5*time.Hour+time.Minute), false)
	missed("no other one has begun", at.Add(8*time.Hour), true)
	backfill := begin("backfill", at.Add(8*time.Hour))
	missed("a backfill goes on", at.Add(8*time.Hour), true)
	end(backfill, at.Add(8*time.Hour))
	a.Exec(`UPDATE archiver_internal.source_notes SET ignored_at = $1`, at)
	missed("it was given up", at.Add(8*time.Hour), false)
}
