package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
)

// coverage is what people see of the windows of one function.
const coverage = `
	SELECT to_char(window_start AT TIME ZONE 'UTC', 'DD HH24'), state, expired_reason, records, source_count, last_error, completed_at = $1
	  FROM window_coverage
	 ORDER BY window_start`

// expire ends the walk of a span as complete, but for the windows that are expired.
func expire(t *testing.T, c *claim, s archive.Span, at time.Time, expired map[int]archive.Expired, records ...archive.Invocation) {
	t.Helper()
	b := lastPage(s, at, records...)
	b.Outcome.Counts = make(map[time.Time]int)
	b.Outcome.Expired = make(map[time.Time]archive.Expired)
	for _, r := range records {
		b.Outcome.Counts[archive.WindowOf(r.Start)]++
	}
	for n, e := range expired {
		b.Outcome.Expired[hour(n)] = e
	}
	commit(t, c, b)
}

// Expired windows keep what came, and say why they are expired. A window that is complete
// does not expire. All other states do.
func TestExpired(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	missed, unproven := archive.Expired{Missed: true}, archive.Expired{Unproven: true}
	short := lastPage(span(1, 2), noted, record("s", archive.StatusSuccess, hour(1)), record("t", archive.StatusSuccess, hour(1)))
	short.Outcome = &archive.Outcome{State: archive.StateShort, Err: "5 of 2", Counts: map[time.Time]int{hour(1): 5}}
	commit(t, c, short)
	if _, err := c.Fail(t.Context(), span(2, 3), archive.Refusal{Reason: "down", Smallest: span(2, 3), Stuck: true}, noted); err != nil {
		t.Fatal(err)
	}
	commit(t, c, lastPage(span(0, 1), noted, record("r", archive.StatusSuccess, hour(0))))
	expire(t, c, span(0, 6), later, map[int]archive.Expired{0: missed, 1: missed, 2: missed, 3: unproven, 4: {}},
		record("s", archive.StatusSuccess, hour(1)), record("u", archive.StatusSuccess, hour(4)))
	want := []string{
		`("14 00",complete,,1,1,,f)`,
		`("14 01",expired,missed,2,5,"` + whyMissed + `",t)`,
		`("14 02",expired,missed,0,0,"` + whyMissed + `",t)`,
		`("14 03",expired,"too old",0,0,"` + whyUnproven + `",t)`,
		`("14 04",expired,"too old",1,1,"` + whyTooOld + `",t)`,
		`("14 05",complete,,0,0,,t)`,
	}
	if diff := cmp.Diff(want, a.Rows(coverage, later)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.CheckWindows()
	if waiting := a.Rows(`SELECT stuck, retry_at FROM windows WHERE stuck > 0 OR retry_at IS NOT NULL`); len(waiting) != 0 {
		t.Errorf("expired windows wait: %v", waiting)
	}

	// What is expired is not due, fails no more and is not begun again. Force reads it.
	known := []archive.Known{c.function}
	for _, o := range []archive.Order{{Range: span(0, 6)}, {Range: span(5, 6), Older: true, Follow: true}, {Range: span(0, 6), Force: true}} {
		due, err := a.store.Due(t.Context(), known, o, later)
		work, failed := c.Work(t.Context(), o, later)
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		wanted := 0
		if o.Force {
			wanted = 6
		}
		if len(work.Windows) != wanted || wanted == 0 && len(due) > 0 || wanted > 0 && due[0].Windows != wanted {
			t.Errorf("%+v: due %+v, work %+v", o, due, work)
		}
	}
	if _, err := c.Fail(t.Context(), span(0, 6), archive.Refusal{Reason: "down"}, later); err != nil {
		t.Fatal(err)
	}
	commit(t, c, page(span(0, 6), later))
	if err := c.Gone(t.Context(), []archive.Span{span(0, 6)}, later); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, a.Rows(coverage, later)); diff != "" {
		t.Errorf("after a failure, a page and a function that is gone (-want +got):\n%s", diff)
	}
	a.CheckWindows()

	// Read again with Force: what was read before keeps its time, what is whole is complete.
	again := later.Add(time.Hour)
	expire(t, c, span(1, 5), again, map[int]archive.Expired{1: missed, 3: unproven}, record("u", archive.StatusSuccess, hour(4)))
	want[2], want[4] = `("14 02",complete,,0,0,,f)`, `("14 04",complete,,1,1,,f)`
	if diff := cmp.Diff(want, a.Rows(coverage, later)); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	a.CheckWindows()
}

// A window that could not be read before the source forgot it has the reason of its walk,
// and was never read.
func TestExpiredUnread(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	b := lastPage(span(0, 1), noted)
	b.Outcome = &archive.Outcome{State: archive.StateFailed, Err: "begin too old", Expired: map[time.Time]archive.Expired{hour(0): {Missed: true}}}
	commit(t, c, b)
	want := []string{`("14 00",expired,missed,0,,"begin too old",)`}
	if diff := cmp.Diff(want, a.Rows(coverage, noted)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.CheckWindows()
}

// Ten years of which the source has forgotten everything have no rows, but for hours of
// which records came or that had a row before.
func TestTenYearsOfNothing(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := a.Function("f")
	c := a.claim(f)
	from := today.AddDate(-10, 0, 0)
	all := archive.Span{From: from, To: today}
	o := archive.Order{AskedBy: "backfill", Range: all, ForgottenBefore: today.AddDate(0, 0, -7).Add(20 * time.Minute)}
	due, err := a.store.Due(t.Context(), []archive.Known{f}, o, noted)
	if err != nil || len(due) != 1 || due[0].Windows != all.Windows() {
		t.Fatalf("due are %+v, %v", due, err)
	}
	if err := a.store.Plan(t.Context(), due, o); err != nil {
		t.Fatal(err)
	}
	if n := value[int](a, `SELECT count(*) FROM windows`); n != 7*24 {
		t.Errorf("%d windows are planned", n)
	}
	work, err := c.Work(t.Context(), o, noted)
	if err != nil || len(work.Windows) != all.Windows() {
		t.Fatalf("%d windows are to be read, %v", len(work.Windows), err)
	}
	// An hour of the past in which a record was found by chance, and one that is complete.
	first, second, third, fourth := from.Add(50*time.Hour), from.Add(60*time.Hour), from.Add(70*time.Hour), from.Add(80*time.Hour)
	commit(t, c, lastPage(hours(first, 1), noted, record("chance", archive.StatusSuccess, second)))
	for _, s := range archive.Spans(work.Windows) {
		b := lastPage(s, later)
		b.Outcome.Expired = make(map[time.Time]archive.Expired)
		for h := s.From; h.Before(s.To) && h.Before(o.ForgottenBefore); h = h.Add(archive.Hour) {
			b.Outcome.Expired[h] = archive.Expired{Bare: true}
		}
		if s.Holds(third) {
			b.Invocations = []archive.Invocation{record("old", archive.StatusSuccess, third)}
			b.Rejected = []archive.Rejected{{Reason: "none", Start: fourth, Payload: []byte("x")}}
		}
		commit(t, c, b)
	}
	got := a.Rows(`SELECT EXTRACT(EPOCH FROM window_start - $1) / 3600, state, planned, records, rejected FROM windows WHERE window_start < $2 ORDER BY 1`, from, today.AddDate(0, 0, -8))
	want := []string{"(50.0000000000000000,complete,t,0,0)", "(60.0000000000000000,expired,t,1,0)", "(70.0000000000000000,expired,t,1,0)", "(80.0000000000000000,expired,t,0,1)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := value[int](a, `SELECT count(*) FROM windows`); n != 7*24+len(want) {
		t.Errorf("%d windows", n)
	}
	a.CheckWindows()
}

// Windows whose age is proven later become complete, and are counted as such.
func TestProve(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c, other := a.newClaim("f"), a.newClaim("other")
	read := today.AddDate(0, 0, 6)
	unproven := archive.Expired{Unproven: true, Missed: true}
	for _, c := range []*claim{c, other} {
		expire(t, c, span(0, 24), read, map[int]archive.Expired{0: unproven, 1: unproven, 2: unproven, 3: {Missed: true}, 4: {}})
	}
	elsewhere := loadtest.Source
	elsewhere.Region = "another"
	for _, test := range []struct {
		source archive.SourceID
		age    time.Duration // of the begin of the window
		want   int
	}{
		{loadtest.Source, 6*24*time.Hour - 3*time.Hour, 0},
		{elsewhere, 30 * 24 * time.Hour, 0},
		{loadtest.Source, 6*24*time.Hour - 2*time.Hour, 2},
		{loadtest.Source, 6*24*time.Hour - 2*time.Hour, 0},
		{loadtest.Source, 6*24*time.Hour - time.Hour, 4}, // nothing earlier is unproven: the first is not half forgotten
		{loadtest.Source, 6 * 24 * time.Hour, 0},
	} {
		if n, err := a.store.Prove(t.Context(), test.source, test.age); err != nil || n != test.want {
			t.Errorf("an age of %s proves %d windows of %s, %v, want %d", test.age, n, test.source.Region, err, test.want)
		}
		a.CheckWindows()
	}
	got := a.Rows(`SELECT state, count(*), count(last_error), count(*) FILTER (WHERE missed), count(*) FILTER (WHERE unproven), bool_and(completed_at = $1) FROM windows GROUP BY 1 ORDER BY 1`, read)
	if diff := cmp.Diff([]string{"(complete,44,0,0,0,t)", "(expired,4,4,2,0,t)"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Windows that were missed are named until an operator acknowledges them.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	missed := archive.Expired{Missed: true}
	expire(t, c, span(0, 6), noted, map[int]archive.Expired{1: missed, 2: missed, 3: {}, 5: missed})
	told := func() (int64, *time.Time) {
		f := a.Status()[0]
		return f.Missed, f.MissedSince
	}
	if n, since := told(); n != 3 || !since.Equal(hour(1)) {
		t.Errorf("%d were missed since %v", n, since)
	}
	acknowledge := func(before time.Time, want ...Acknowledged) {
		t.Helper()
		got, err := a.store.Acknowledge(t.Context(), before)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("acknowledged before %s: %v (-want +got):\n%s", before, err, diff)
		}
	}
	acknowledge(hour(1))
	acknowledge(hour(3), Acknowledged{"urn:f", 2, hour(1), hour(2)})
	a.CheckWindows()
	if n, since := told(); n != 1 || !since.Equal(hour(5)) {
		t.Errorf("after acknowledging, %d were missed since %v", n, since)
	}
	// Read again, they stay acknowledged.
	expire(t, c, span(1, 2), later, map[int]archive.Expired{1: missed})
	if n, _ := told(); n != 1 {
		t.Errorf("read again, %d were missed", n)
	}
	if n := value[int](a, `SELECT count(acknowledged_at) FROM window_coverage WHERE expired_reason = 'missed'`); n != 2 {
		t.Errorf("%d windows are seen as acknowledged", n)
	}
	acknowledge(later, Acknowledged{"urn:f", 1, hour(5), hour(5)})
	if n, since := told(); n != 0 || since != nil {
		t.Errorf("%d were missed since %v", n, since)
	}
	a.CheckWindows()
}

// The greatest count that the source gave of a window outlives failures, pages and shorter
// counts. Windows that expired are not completed by less, even if they are read by force.
func TestNotCompletedByLess(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	s := span(1, 2)
	short := lastPage(s, noted, many(20, s, "r")...)
	short.Outcome = &archive.Outcome{State: archive.StateShort, Err: "20 of 25", Counts: map[time.Time]int{hour(1): 25}}
	commit(t, c, short)
	held := func(want int) {
		t.Helper()
		w, err := c.Work(t.Context(), archive.Order{Range: s}, noted)
		if err != nil || len(w.Begun) != 1 || w.Begun[0].Held != want {
			t.Errorf("begun %+v, %v, want %d held", w.Begun, err, want)
		}
	}
	held(25)
	if _, err := c.Fail(t.Context(), s, archive.Refusal{Reason: "down"}, noted); err != nil {
		t.Fatal(err)
	}
	held(25)
	commit(t, c, page(s, noted))
	held(25)
	short.Outcome.Counts = map[time.Time]int{hour(1): 21}
	commit(t, c, short)
	held(25)
	expire(t, c, s, later, map[int]archive.Expired{1: {Missed: true}})
	want := []string{`("14 01",expired,missed,20,25,"` + whyMissed + `",t)`}
	read := func(n int, uncounted bool) {
		t.Helper()
		b := lastPage(s, later.Add(time.Hour), many(20, s, "r")...)
		if !uncounted {
			b.Outcome.Counts = map[time.Time]int{hour(1): n}
		}
		commit(t, c, b)
		if diff := cmp.Diff(want, a.Rows(coverage, later)); diff != "" {
			t.Errorf("%d records (-want +got):\n%s", n, diff)
		}
		a.CheckWindows()
	}
	read(20, false)
	read(20, true)
	want = []string{`("14 01",complete,,20,25,,f)`}
	read(25, false)
}
