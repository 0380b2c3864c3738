package completeness

import (
	"errors"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

// Records in flight of a version are followed to their end, also when the lists
// of all versions come to hold them.
func TestVersionsInFlight(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=own")
	b := bend(t, w)
	id, running := "", true
	b.pages = func(q archive.Query, p *archive.Page) {
		for i := range p.Invocations {
			record := &p.Invocations[i]
			if id == "" && ofVersion(q, "v1") {
				id = record.RequestID
			}
			if record.RequestID == id && running {
				record.Status, record.End = archive.StatusRunning, time.Time{}
			}
		}
	}
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.answersBy(t, "versions=whole")
	w.clock.Advance(25 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	running = false
	for range 3 {
		w.clock.Advance(20 * time.Hour)
		if _, _, err := w.pass(t); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count(t, `SELECT status, count(*) FROM invocation_history WHERE status = 'RUNNING' GROUP BY 1`); len(n) != 0 {
		t.Errorf("still in flight: %v", n)
	}
	w.holds(t)
}

// The windows of a version that failed are read by a later run.
func TestVersionsAfterFailure(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	b := bend(t, w)
	b.fails = func(q archive.Query) error {
		if ofVersion(q, "v1") {
			return errors.New("503")
		}
		return nil
	}
	if _, _, err := w.pass(t); err == nil || w.count(t, statesOfVersions)["v1 failed"] == 0 {
		t.Fatal("nothing failed", err)
	}
	b.fails = func(archive.Query) error { return nil }
	w.clock.Advance(25 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	states := w.count(t, statesOfVersions)
	if states["v1 complete"] == 0 || states["v1 failed"]+states["v1 pending"]+states["v1 partial"] != 0 {
		t.Errorf("%v", states)
	}
	w.holds(t)
}

// Records that only the list of a version holds are archived, and verify finds no
// difference.
func TestVersionsHiddenByLatest(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	b := bend(t, w)
	w.clock.Advance(11 * time.Hour)
	// The latest's lists leave out v1's records of some early hours.
	hidden := make(map[string]string)
	own := newVersioned(t, "versions=own")
	bend(t, own).pages = func(q archive.Query, p *archive.Page) {
		for _, record := range p.Invocations {
			if ofVersion(q, "v1") && record.Start.Before(day.Add(3*time.Hour)) {
				hidden[record.RequestID] = strings.TrimSuffix(q.Function.URN, ":v1")
			}
		}
	}
	if _, _, err := own.pass(t); err != nil || len(hidden) == 0 {
		t.Fatal(err, len(hidden))
	}
	b.pages = func(q archive.Query, p *archive.Page) {
		if ofVersion(q, "v1") {
			return
		}
		kept := p.Invocations[:0]
		for _, record := range p.Invocations {
			if hidden[record.RequestID] == "" {
				kept = append(kept, record)
			}
		}
		p.Invocations, p.Count = kept, -1
	}
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.holds(t)
	have := w.count(t, `SELECT request_id, 1 FROM invocations`)
	for id := range hidden {
		if have[id] == 0 {
			t.Errorf("%s is missing", id)
		}
	}
	if summary, _, err := w.pass(t, verifying); err != nil {
		t.Errorf("verify: %+v, %v", summary.Differences, err)
	}
}

// Nothing is lost when a source begins to list a version's records under that
// version alone, nor when it lists them under all versions again.
func TestVersionsChange(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.holds(t)
	w.answersBy(t, "versions=own")
	w.clock.Advance(5 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(20 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	if of := w.holds(t); of["v1"] == 0 || of["v2"] == 0 {
		t.Errorf("%v", of)
	}
	// And back.
	w.answersBy(t, "versions=whole")
	w.clock.Advance(25 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	w.holds(t)
}

// If the latest version cannot be read, the other versions are still read. The latest
// later finds their records in the archive.
func TestVersionsOfUnread(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"own", "whole", "latest"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newVersioned(t, "versions="+mode)
			all := w.archiver.Match
			w.archiver.Match = func(f archive.Function) bool { return !strings.HasSuffix(f.URN, ":latest") }
			if _, calls, err := w.pass(t); !errors.Is(err, archive.ErrNoFunction) || calls["latest versions"] != 0 {
				t.Fatal(err, calls) // no versions are listed yet
			}
			w.archiver.Match = func(f archive.Function) bool { return strings.HasSuffix(f.URN, ":latest") }
			if _, _, err := w.pass(t, func(o *archive.Order) { o.Range.To = o.Range.From.Add(time.Hour) }); err != nil {
				t.Fatal(err)
			}
			w.archiver.Match = func(f archive.Function) bool { return !strings.HasSuffix(f.URN, ":latest") }
			if _, _, err := w.pass(t); err != nil {
				t.Fatal(err)
			}
			w.archiver.Match = all
			if _, _, err := w.pass(t); err != nil {
				t.Fatal(err)
			}
			w.holds(t)
			_, _, err := w.pass(t, func(o *archive.Order) { o.AskedBy, o.Compare, o.Older, o.Follow = "verify", true, false, false })
			if err != nil {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

// A source that finds an id under every version, and lists each record under its
// own version alone.
func TestVersionsByID(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	w.byID = w.server.Load()
	w.answersBy(t, "versions=own")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	if of := w.holds(t); of["v1"] == 0 || of["v2"] == 0 {
		t.Errorf("%v", of)
	}
}

// A record that two versions list is no difference for run and for verify.
func TestSharedIsNoDifference(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	b := bend(t, w)
	published := day.Add(5 * time.Hour) // when the versions were published: they have no earlier records
	b.pages = func(q archive.Query, p *archive.Page) {
		if !ofVersion(q, "latest") && !q.To.After(published.Add(time.Second)) {
			*p = archive.Page{Last: true}
		}
	}
	w.clock.Advance(-7 * time.Hour)
	for range 16 {
		w.clock.Advance(time.Hour)
		summary, _, err := w.pass(t, func(o *archive.Order) { o.VerifyAfter = 6 * time.Hour })
		if err != nil || len(summary.Differences) != 0 {
			t.Fatalf("%+v, %v", summary.Differences, err)
		}
	}
	for _, repair := range []bool{true, false} {
		summary, _, err := w.pass(t, verifying, func(o *archive.Order) { o.Repair = repair })
		if err != nil || len(summary.Differences) != 0 {
			t.Errorf("repair %t: %+v, %v", repair, summary.Differences, err)
		}
	}
}

// If the versions of one function cannot be listed, those of the others still are.
func TestVersionsOfOthers(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=own")
	b := bend(t, w)
	b.unlisted = func(f archive.Function) error {
		if strings.Contains(f.URN, w.data.Functions()[0]) {
			return errors.New("400 for good")
		}
		return nil
	}
	if summary, _, err := w.pass(t); err == nil || summary.Left != 1 {
		t.Errorf("%d left, %v", summary.Left, err)
	}
	if n := w.count(t, `SELECT version, count(*) FROM function_versions GROUP BY 1`); n["v1"] != 2 || n["v2"] != 2 {
		t.Errorf("%v", n)
	}
}

// Versions are read if the source has no list of aliases.
func TestVersionsWithoutAliases(t *testing.T) {
	t.Parallel()
	for status, left := range map[int]int64{404: 0, 403: 3} {
		w := newVersioned(t, "versions=own")
		w.fail["aliases"] = func() int { return status }
		if summary, _, _ := w.pass(t); (summary.Left > 0) != (left > 0) {
			t.Errorf("%d: %d left", status, summary.Left)
		}
		if n := w.count(t, `SELECT version, count(*) FROM function_versions GROUP BY 1`); status == 404 && n["v1"] != 3 || n["v1"] == 0 {
			t.Errorf("%d: %v", status, n)
		}
		if status == 404 {
			w.holds(t)
		}
	}
}

// Nothing is lost when the range of each run is short.
func TestVersionsShortRange(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	back := func(o *archive.Order) { o.Range.From = o.Range.To.Add(-6 * time.Hour) }
	w.clock.Advance(-6 * time.Hour)
	if _, _, err := w.pass(t, back); err != nil {
		t.Fatal(err)
	}
	w.answersBy(t, "versions=own")
	for range 6 {
		w.clock.Advance(5 * time.Hour)
		if _, _, err := w.pass(t, back); err != nil {
			t.Fatal(err)
		}
	}
	w.holds(t)
}

// A backfill reads the versions in its range.
func TestVersionsBackfill(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	w.clock.Advance(20 * time.Hour)
	today := day.Add(24 * time.Hour)
	if _, _, err := w.pass(t, func(o *archive.Order) { o.Range.From = today }); err != nil {
		t.Fatal(err)
	}
	b := bend(t, w)
	asked := 0
	w.answersBy(t, "versions=own")
	b.fails = func(q archive.Query) error {
		if ofVersion(q, "v1") && q.From.Before(today.Add(-time.Hour)) {
			asked++
		}
		return nil
	}
	_, _, err := w.pass(t, func(o *archive.Order) {
		o.AskedBy, o.Older, o.Follow = "backfill", false, false
		o.Range = archive.Span{From: day, To: today}
	})
	if err != nil || asked == 0 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	own := w.count(t, `SELECT split_part(function_urn, ':', 8), count(*) FROM invocation_history GROUP BY 1`)
	if own["v1"] == 0 || own["v2"] == 0 {
		t.Errorf("%v", own)
	}
}

// A record that the latest shows late, after its hour is complete, is not lost.
func TestVersionsLateRecord(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	b := bend(t, w)
	late := ""
	hide := true
	b.pages = func(q archive.Query, p *archive.Page) {
		if !hide || !ofVersion(q, "latest") || q.To.Sub(q.From) < time.Minute {
			return
		}
		for i := range p.Invocations {
			record := &p.Invocations[i]
			if late == "" && record.Start.After(day.Add(11*time.Hour)) {
				late = record.RequestID
			}
			if record.RequestID == late {
				p.Invocations = append(p.Invocations[:i], p.Invocations[i+1:]...)
				p.Count--
				return
			}
		}
	}
	verified := func(o *archive.Order) { o.VerifyAfter = time.Hour }
	if _, _, err := w.pass(t, verified); err != nil || late == "" {
		t.Fatal(err, late)
	}
	hide = false
	w.clock.Advance(3 * time.Hour)
	if _, _, err := w.pass(t, verified); err != nil {
		t.Fatal(err)
	}
	w.holds(t)
}
