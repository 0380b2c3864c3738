package page

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// expired makes windows expired that were missed, or that are too old.
func (a *archiveDB) expired(id int32, day, hour, hours int, missed bool) {
	a.t.Helper()
	a.exec(`
		UPDATE archiver_internal.windows
		   SET state = 'expired', missed = $4
		 WHERE function_id = $1 AND window_start >= $2 AND window_start < $3`, id, at(day, hour), at(day, hour+hours), missed)
}

func (a *archiveDB) model() *model {
	a.t.Helper()
	m, err := a.page.model(a.t.Context(), request{page: 1})
	if err != nil {
		a.t.Fatal(err)
	}
	return m
}

// Missed hours are in the verdict until they are acknowledged. Hours that are too old
// are only shown.
func TestMissed(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f, g := a.function("f"), a.function("g")
	for _, id := range []int32{f, g} {
		a.windows(id, at(3, 0), at(0, 7), 100)
	}
	a.expired(f, 2, 1, 2, true)
	a.expired(g, 2, 3, 4, false)
	const acknowledge = "The source may have forgotten their records before they were read. archiver acknowledge takes missed hours out of this verdict."
	if diff := cmp.Diff(verdict{"bad", "2 hours of 1 function were missed.", acknowledge}, a.model().Verdict); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c := func(n int) string { return strings.Repeat("c", n) }
	want := map[string]string{"f": "cmm" + c(21), "g": "ccceeee" + c(17)}
	if diff := cmp.Diff(want, mapOf(a.get("/?zoom=day&at=2026-03-12"))); diff != "" {
		t.Errorf("by hour (-want +got):\n%s", diff)
	}
	printed := a.print(Screen{Columns: 120})
	for _, part := range []string{"MM", "xx", "2 hours of 1 function were missed", "2 missed", "4 expired", "M missed  x expired"} {
		if !strings.Contains(printed, part) {
			t.Errorf("the status lacks %q:\n%s", part, printed)
		}
	}

	a.state(g, at(1, 1), at(1, 2), "failed", "down")
	if v := a.model().Verdict; v.Class != "bad" || v.Text != "1 hour of 1 function is not archived yet." || !strings.Contains(v.More, "2 hours of 1 function were missed. "+acknowledge) {
		t.Errorf("with a failed hour the verdict is %v", v)
	}
	a.state(g, at(1, 1), at(1, 2), "complete", "")
	a.exec(`UPDATE archiver_internal.windows SET acknowledged_at = $1 WHERE missed`, now)
	if v := a.model().Verdict; v.Class != "good" {
		t.Errorf("once acknowledged, the verdict is %v", v)
	}
	if got := mapOf(a.get("/?zoom=day&at=2026-03-12"))["f"]; got != "cee"+c(21) {
		t.Errorf("once acknowledged, the map shows %s", got)
	}
}

// A list of functions that is not whole is in the verdict. A function that is not
// listed any more is not late.
func TestListNotWhole(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.run("run", at(0, 9), 0, "")
	a.windows(a.function("listed"), at(3, 0), at(0, 7), 100)
	unlisted := a.function("unlisted")
	a.windows(unlisted, at(3, 0), at(2, 0), 100)
	a.state(unlisted, at(3, 4), at(3, 5), "failed", "answered 401")
	a.exec(`UPDATE functions SET missing_since = $2 WHERE function_id = $1`, unlisted, at(2, 0))
	const deleted = "1 function is not listed any more, and probably deleted."
	if diff := cmp.Diff(verdict{"good", "Every hour that is due is archived.", deleted}, a.model().Verdict); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.exec(`
		INSERT INTO source_lists (provider, region, project_id, listed_at, whole, listed, counted, last_error)
		VALUES ('functiongraph', 'cn-north-4', 'p', $1, false, 10, 30, 'the source''s list of functions is not whole: it counts 30 functions and lists 10')`, at(0, 9))
	want := verdict{"bad", "A list of functions is not whole.",
		"functiongraph cn-north-4: the source's list of functions is not whole: it counts 30 functions and lists 10 (25 min ago). " + deleted}
	if diff := cmp.Diff(want, a.model().Verdict); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A failed hour names the smallest question that fails, and when it is asked again.
func TestSmallestQuestion(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	id := a.function("f")
	a.windows(id, at(3, 0), at(0, 7), 100)
	a.state(id, at(2, 2), at(2, 3), "failed", "answered 400")
	a.exec(`
		UPDATE archiver_internal.windows
		   SET refused_from = window_start + interval '30 minutes', refused_to = window_start + interval '1801 seconds', stuck = 2, retry_at = $2
		 WHERE function_id = $1 AND state = 'failed'`, id, at(0, 11))
	m := a.model()
	if got := m.Risks[0].Why; got != "failed for 02:30:00Z/02:30:01Z, asked again at 14 Mar 2026, 11:00 UTC: answered 400" {
		t.Errorf("at risk: %s", got)
	}
	if got := m.Errors[0].When; got != "12 Mar 2026, 02:00 UTC, failed for 02:30:00Z/02:30:01Z" {
		t.Errorf("the error is of %s", got)
	}
	if v := m.Verdict; v.Class != "bad" || !strings.Contains(v.More, "Of these, 1 waits longer after each failure: no smaller question can be asked.") {
		t.Errorf("the verdict is %v", v)
	}
}

// What was learned of a source is shown with its unit, and since when, for a day.
func TestLearned(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	id := a.function("f")
	for _, lesson := range []struct {
		what     string
		function int32
		value    int64
		hours    int
	}{{"ceiling", 0, 10_000, 2}, {"range", 0, 86_400, 2}, {"rate", 0, 2_500, 2}, {"ceiling", id, 500, 2}, {"page", 0, 100, 25}, {"edge", 0, 0, 2}} {
		a.exec(`
			INSERT INTO archiver_internal.learned (provider, region, project_id, what, function_id, value, proven, learned_at)
			VALUES ('functiongraph', 'cn-north-4', 'p', $1, $2, $3, false, $4)`, lesson.what, lesson.function, lesson.value, at(0, 9-lesson.hours))
	}
	const source, since = "functiongraph cn-north-4 p", "14 Mar 2026, 07:00 UTC"
	want := []learned{
		{source, "the smallest count, or length of a list, at which the source cuts off", "10,000 records", since},
		{source, "the widest range of time that the source answers", "24 hours", since},
		{source, "how many calls the source accepts", "2.5 calls a second", since},
		{source + ", f", "the smallest count, or length of a list, at which the source cuts off", "500 records", since},
	}
	if diff := cmp.Diff(want, a.model().Learned); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if printed := a.print(Screen{Columns: 120}); !strings.Contains(printed, "functiongraph cn-north-4 p: 10,000 records") {
		t.Errorf("the status lacks the ceiling:\n%s", printed)
	}
}

// Hours that the source may have forgotten before it first listed the function have
// windows only where records came. The others are not late, and not shown.
func TestTooOld(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	id := a.function("f") // first seen 90 days ago
	a.windows(id, at(120, 0), at(0, 7), 100)
	a.windows(id, at(700, 3), at(700, 4), 100)
	a.expired(id, 700, 3, 1, false)
	if v := a.model().Verdict; v.Class != "good" {
		t.Errorf("the verdict is %v", v)
	}
	if got := mapOf(a.get("/?zoom=day&at=" + at(700, 0).Format(time.DateOnly)))["f"]; got != "...e"+strings.Repeat(".", 20) {
		t.Errorf("the map shows %s", got)
	}
}
