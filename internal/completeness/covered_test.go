package completeness

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/extract/functiongraph"
)

// A bent source is the versioned cloud's with what it says changed on the way, by
// one call at a time.
type bent struct {
	*functiongraph.Source
	mu       sync.Mutex
	pages    func(q archive.Query, p *archive.Page)
	fails    func(q archive.Query) error
	unlisted func(f archive.Function) error
}

func bend(t *testing.T, w *versioned) *bent {
	t.Helper()
	source, ok := w.archiver.Source.(*functiongraph.Source)
	if !ok {
		t.Fatal("the source is another one")
	}
	b := &bent{
		Source: source, pages: func(archive.Query, *archive.Page) {},
		fails: func(archive.Query) error { return nil }, unlisted: func(archive.Function) error { return nil },
	}
	w.archiver.Source = b
	return b
}

func (b *bent) Pages(ctx context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	return func(yield func(archive.Page, error) bool) {
		b.mu.Lock()
		err := b.fails(q)
		b.mu.Unlock()
		if err != nil {
			yield(archive.Page{}, err)
			return
		}
		for p, err := range b.Source.Pages(ctx, q) {
			b.mu.Lock()
			b.pages(q, &p)
			b.mu.Unlock()
			if !yield(p, err) {
				return
			}
		}
	}
}

func (b *bent) Versions(ctx context.Context, f archive.Function) ([]archive.Function, error) {
	b.mu.Lock()
	err := b.unlisted(f)
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return b.Source.Versions(ctx, f)
}

func ofVersion(q archive.Query, version string) bool {
	return strings.HasSuffix(q.Function.URN, ":"+version)
}

const statesOfVersions = `
	SELECT split_part(function_urn, ':', 8) || ' ' || state, count(*) FROM window_coverage GROUP BY 1`

func verifying(o *archive.Order) {
	o.AskedBy, o.Compare, o.Older, o.Follow = "verify", true, false, false
}

// What was in flight when a version came to be covered is followed to its end.
func TestCoveredInFlight(t *testing.T) {
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
	if w.count(t, covered)["v1"] == 0 {
		t.Fatal("v1 is not covered: the test shows nothing")
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

// Windows that failed before their version was known to be covered do not stay
// so.
func TestCoveredAfterFailure(t *testing.T) {
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
	if w.count(t, covered)["v1"] == 0 || states["v1 failed"]+states["v1 pending"]+states["v1 partial"] != 0 {
		t.Errorf("%v", states)
	}
	w.holds(t)
}

// A sample may not show what a version alone gives; verify does, and its repair
// brings it.
func TestCoveredVerify(t *testing.T) {
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
	missing := func() int {
		have := w.count(t, `SELECT request_id, 1 FROM invocations`)
		n := 0
		for id := range hidden {
			n += 1 - have[id]
		}
		return n
	}
	if missing() == 0 {
		t.Fatal("nothing is missing: the test shows nothing")
	}
	if summary, _, err := w.pass(t, verifying); err == nil || summary.Missing == 0 {
		t.Errorf("verify saw nothing: %d, %v", summary.Missing, err)
	}
	if _, _, err := w.pass(t, verifying, func(o *archive.Order) { o.Repair = true }); err != nil {
		t.Error(err)
	}
	if n := missing(); n != 0 {
		t.Errorf("%d are missing after the repair", n)
	}
}

// What two versions give is no difference, whoever compares.
func TestSharedIsNoDifference(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	b := bend(t, w)
	published := day.Add(5 * time.Hour) // the versions: before that they have nothing
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

// One function whose versions cannot be listed keeps no other from its turn.
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

// Versions are read where there is no list of aliases.
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

// However short the range of a run is, a version that is covered no longer is
// read from before the last look on.
func TestCoveredShortRange(t *testing.T) {
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

// A backfill looks for itself.
func TestCoveredBackfill(t *testing.T) {
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

// A version that was covered and is deleted leaves no windows that nobody needs.
func TestCoveredGone(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	before := w.count(t, covered)["v1"]
	w.mu.Lock()
	w.gone["v1"] = true
	w.mu.Unlock()
	w.clock.Advance(25 * time.Hour)
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	gone := w.count(t, `SELECT version, count(*) FROM function_versions WHERE gone_at IS NOT NULL GROUP BY 1`)
	states := w.count(t, statesOfVersions)
	if before == 0 || gone["v1"] < before || before == 3 && states["v1 gone"] != 0 {
		t.Errorf("%d covered, %v, %v", before, gone, states)
	}
}

// A version that nobody calls is covered with another one of its function.
func TestCoveredIdle(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=whole")
	bend(t, w).pages = func(q archive.Query, p *archive.Page) {
		if ofVersion(q, "v2") {
			*p = archive.Page{Last: true}
		}
	}
	w.clock.Advance(11 * time.Hour) // by then all functions have records
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	if n := w.count(t, covered); n["v1"] != 3 || n["v2"] != 3 {
		t.Errorf("%v", n)
	}
	w.holds(t)
}

// A record that the archive turns out not to have, though its hour is complete,
// has that hour asked for again.
func TestCoveredDoubt(t *testing.T) {
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
