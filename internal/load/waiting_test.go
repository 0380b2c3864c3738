package load

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
)

// runOrder is what archiver run asks for.
func runOrder(s archive.Span) archive.Order {
	return archive.Order{AskedBy: "run", Range: s, Older: true, Follow: true}
}

// A window that is stuck waits longer after each failure: up to the next hour, then 2
// hours, 4 and so on, at most a day. While it waits it is failed and not due, but for a
// backfill and with Force.
func TestStuckWindowsWait(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	second := archive.Span{From: hour(1).Add(30 * time.Minute), To: hour(1).Add(30*time.Minute + time.Second)}
	commit(t, c, lastPage(span(0, 1), noted))
	known := []archive.Known{c.function}
	ctx := t.Context()
	due := func(o archive.Order, at time.Time) (windows, waiting int) {
		t.Helper()
		due, err := a.store.Due(ctx, known, o, at)
		if err != nil {
			t.Fatal(err)
		}
		work, err := c.Work(ctx, o, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range due {
			windows, waiting = windows+d.Windows, waiting+d.Waiting
		}
		if len(work.Windows)+len(work.Open) != windows {
			t.Errorf("%d windows are due, and the work is %+v", windows, work)
		}
		return windows, waiting
	}
	failed := hour(50).Add(9 * time.Minute) // nine minutes after the tick
	// An old window that waits, or one within the range.
	inRange, old := runOrder(span(0, 2)), runOrder(span(24, 24))
	for n, wait := range []int{1, 2, 4, 8, 16, 24, 24} {
		if _, err := c.Fail(ctx, span(1, 2), archive.Refusal{Reason: "400", Smallest: second, Stuck: true}, failed); err != nil {
			t.Fatal(err)
		}
		tick := archive.WindowOf(failed).Add(7 * time.Minute)
		for h := 1; h <= wait; h++ {
			at := tick.Add(time.Duration(h) * time.Hour)
			for name, o := range map[string]archive.Order{"in range": inRange, "old": old} {
				windows, waiting := due(o, at)
				if h == wait && (windows != 1 || waiting != 0) || h < wait && (windows != 0 || waiting != 1) {
					t.Errorf("%d failures, %d hours later, %s: %d windows, %d wait", n+1, h, name, windows, waiting)
				}
			}
		}
		for name, o := range map[string]archive.Order{
			"backfill": {Range: span(1, 2)}, "force": {Range: span(1, 2), Older: true, Follow: true, Force: true},
		} {
			if windows, waiting := due(o, failed); windows != 1 || waiting != 0 {
				t.Errorf("%d failures, %s: %d windows, %d wait", n+1, name, windows, waiting)
			}
		}
		failed = failed.Add(time.Duration(wait) * time.Hour)
	}
	if state := a.Rows(`SELECT state, refused_from = $1, refused_to = $2, attempts, stuck FROM windows WHERE window_start = $3`, second.From, second.To, hour(1)); !cmp.Equal(state, []string{"(failed,t,t,7,7)"}) {
		t.Errorf("the window is %v", state)
	}
	if f := a.Status()[0]; f.Stuck != 1 || f.Failed != 1 || f.Open != 1 {
		t.Errorf("the status is %+v", f)
	}

	// A failure of another kind does not wait, and knows the smallest question still.
	if _, err := c.Fail(ctx, span(1, 3), archive.Refusal{Reason: "down"}, failed); err != nil {
		t.Fatal(err)
	}
	if windows, waiting := due(runOrder(span(0, 3)), failed); windows != 2 || waiting != 0 {
		t.Errorf("%d windows are due, and %d wait", windows, waiting)
	}
	work, err := c.Work(ctx, inRange, failed)
	if want := []archive.Begun{{Window: hour(1), Refused: second}}; err != nil || !cmp.Equal(want, work.Begun) {
		t.Errorf("begun are %+v, %v", work.Begun, err)
	}
	// Once read, nothing is left of it.
	commit(t, c, lastPage(span(1, 2), failed))
	if left := a.Rows(`SELECT refused_from, stuck, retry_at FROM windows WHERE window_start = $1 AND (refused_from IS NOT NULL OR stuck > 0 OR retry_at IS NOT NULL)`, hour(1)); len(left) != 0 {
		t.Errorf("the complete window has %v", left)
	}
}

// A window that is short waits like one that failed.
func TestShortWindowsWait(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	second := archive.Span{From: hour(1).Add(time.Minute), To: hour(1).Add(time.Minute + time.Second)}
	b := lastPage(span(0, 2), noted)
	b.Outcome = &archive.Outcome{State: archive.StateShort, Err: "2 of 3", Refusal: archive.Refusal{Smallest: second, Stuck: true}}
	for n, wait := range []int{1, 2, 4} {
		b.At = noted.Add(time.Duration(n) * 24 * time.Hour)
		commit(t, c, b)
		for h, o := range map[int]archive.Order{wait - 1: runOrder(span(0, 2)), wait: runOrder(span(0, 2))} {
			due, err := a.store.Due(t.Context(), []archive.Known{c.function}, o, b.At.Add(time.Duration(h)*time.Hour))
			if err != nil || len(due) != 1 || (due[0].Windows == 2) != (h == wait) || (due[0].Waiting == 2) != (h < wait) {
				t.Errorf("%d hours later: due are %+v, %v", h, due, err)
			}
		}
	}
	work, err := c.Work(t.Context(), archive.Order{Range: span(0, 2)}, noted)
	if want := []archive.Begun{{Window: hour(0)}, {Window: hour(1), Refused: second}}; err != nil || !cmp.Equal(want, work.Begun) {
		t.Errorf("begun are %+v, %v", work.Begun, err)
	}
	// A window that is expired does not wait.
	b.Outcome.Expired = map[time.Time]archive.Expired{hour(0): {Missed: true}, hour(1): {}}
	commit(t, c, b)
	if n := value[int](a, `SELECT count(*) FROM windows WHERE stuck > 0 OR retry_at IS NOT NULL`); n != 0 {
		t.Errorf("%d expired windows wait", n)
	}
	a.CheckWindows()
}

// A walk whose windows are stuck begins again at its first page, once it has waited.
func TestStuckWalks(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	o := runOrder(span(0, 6))
	commit(t, c, page(span(0, 2), noted, record("r", archive.StatusSuccess, hour(0))))
	commit(t, c, page(span(3, 5), noted, record("s", archive.StatusSuccess, hour(3))))
	if _, err := c.Fail(t.Context(), span(0, 2), archive.Refusal{Reason: "400", Stuck: true}, noted); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fail(t.Context(), span(3, 5), archive.Refusal{Reason: "500"}, noted); err != nil {
		t.Fatal(err)
	}
	work, err := c.Work(t.Context(), o, noted)
	if err != nil || len(work.Open) != 1 || work.Open[0].Span != span(3, 5) || !cmp.Equal(work.Windows, []time.Time{hour(2), hour(5)}) {
		t.Errorf("the work is %+v, %v", work, err)
	}
	if work, err = c.Work(t.Context(), o, later); err != nil || !cmp.Equal(work.Windows, []time.Time{hour(0), hour(1), hour(2), hour(5)}) {
		t.Errorf("an hour later the work is %+v, %v", work, err)
	}
	// A walk that ends now has no row to close.
	commit(t, c, page(span(0, 2), later, record("r", archive.StatusSuccess, hour(0))))
	commit(t, c, lastPage(span(0, 2), later))
	if walks := a.Rows(`SELECT span_from = $1 FROM walks`, hour(3)); !cmp.Equal(walks, []string{"(t)"}) {
		t.Errorf("open walks: %v", walks)
	}
	a.CheckWindows()
}

// What an earlier run left of windows is known: how many records they hold, and the
// smallest question that fails.
func TestBegun(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	ctx := t.Context()
	short := lastPage(span(0, 1), noted, many(3, span(0, 1), "s")...)
	short.Outcome = &archive.Outcome{State: archive.StateShort, Err: "5 of 3", Counts: map[time.Time]int{hour(0): 5}}
	commit(t, c, short)
	// The records without a start are not known to be of hour 2.
	open := page(span(1, 3), noted, append(many(4, span(1, 2), "o"),
		record("waits", archive.StatusWait, time.Time{}), record("discarded", archive.StatusDiscard, time.Time{}))...)
	open.Rejected = []archive.Rejected{{Reason: "none", Start: hour(1), Payload: []byte("x")}}
	commit(t, c, open)
	minutes := archive.Span{From: hour(3).Add(50 * time.Minute), To: hour(4).Add(10 * time.Minute)}
	if _, err := c.Fail(ctx, span(3, 6), archive.Refusal{Reason: "504", Smallest: minutes}, noted); err != nil {
		t.Fatal(err)
	}
	// A question for all of them tells less than what is known.
	if _, err := c.Fail(ctx, span(3, 6), archive.Refusal{Reason: "504", Smallest: span(0, 24)}, noted); err != nil {
		t.Fatal(err)
	}
	commit(t, c, lastPage(span(6, 7), noted))
	commit(t, c, lastPage(span(-5, -4), noted))
	if _, err := c.Fail(ctx, span(-4, -3), archive.Refusal{Reason: "504"}, noted); err != nil {
		t.Fatal(err)
	}
	want := []archive.Begun{
		{Window: hour(0), Held: 5, Counted: 5}, {Window: hour(1), Held: 5}, {Window: hour(2)},
		{Window: hour(3), Refused: minutes}, {Window: hour(4), Refused: minutes}, {Window: hour(5), Refused: span(0, 24)},
	}
	for name, test := range map[string]struct {
		order archive.Order
		want  []archive.Begun
	}{
		"range": {archive.Order{Range: span(0, 24)}, want},
		"older": {runOrder(span(0, 24)), append([]archive.Begun{{Window: hour(-4)}}, want...)},
		"walk":  {archive.Order{Range: span(2, 4)}, want[1:4]}, // the walk reaches out of the range
	} {
		work, err := c.Work(ctx, test.order, noted)
		if diff := cmp.Diff(test.want, work.Begun); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	// A record that has moved is held by the hour to which it has moved.
	moved := many(3, span(0, 1), "s")[:1]
	moved[0].Start = hour(1).Add(time.Minute)
	commit(t, c, page(span(1, 3), noted, moved...))
	held, err := c.Held(ctx, []time.Time{hour(0), hour(1), hour(2), hour(9)})
	if want := map[time.Time]archive.Held{hour(0): {Records: 2}, hour(1): {Records: 6}, hour(2): {Records: 2, Startless: 2}}; !maps.Equal(held, want) || err != nil {
		t.Errorf("held are %v, %v, want %v", held, err, want)
	}
}

// Windows that wait cost what they are, and not what was archived before.
func TestWaitingIsCountedByIndex(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const functions, days = 10, 120
	known := make([]archive.Known, functions)
	for i := range known {
		known[i] = a.Function(fmt.Sprint("f", i))
	}
	a.Exec(`
		INSERT INTO windows (function_id, window_start, state, planned, completed_at, retry_at)
		SELECT function_id, hour, CASE WHEN waits THEN 'failed' ELSE 'complete' END, true, hour, CASE WHEN waits THEN $1::timestamptz END
		  FROM functions
		 CROSS JOIN generate_series($2::timestamptz, $3::timestamptz - interval '1 hour', interval '1 hour') AS hour
		 CROSS JOIN LATERAL (SELECT hour IN ($3::timestamptz - interval '5 hours', $3::timestamptz - interval '10 days') AS waits) AS w`,
		later, today.AddDate(0, 0, -days), today)
	a.Exec(`VACUUM ANALYZE windows, window_days`)
	o := runOrder(archive.Span{From: today.AddDate(0, 0, -7), To: today})
	due, err := a.store.Due(context.WithoutCancel(t.Context()), known, o, noted)
	if err != nil || len(due) != functions || due[0].Waiting != 2 || due[0].Windows != 0 {
		t.Fatalf("due are %+v, %v", due, err)
	}
	var answers dueAnswers
	for _, asked := range answers.batch(known, o, noted).QueuedQueries {
		// The hours of one day are looked up, each in some blocks of an index.
		if blocks := a.Blocks(asked.SQL, asked.Arguments...); blocks > functions*(24*4+10) {
			t.Errorf("%d blocks for %d functions: %s", blocks, functions, asked.SQL)
		}
	}
}
