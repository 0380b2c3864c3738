package load

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// A function that has been empty for long is due less often, but at least once in
// archive.RestAtMost. Without Order.Rest all of its windows are due.
func TestRest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		empty  int // hours since the last record, up to what has been read
		unread int // hours since then
		rests  bool
	}{
		"empty for 1 h":                {empty: 1, unread: 1},
		"empty for 7 h":                {empty: 7, unread: 1},
		"empty for 8 h":                {empty: 8, unread: 1},
		"empty for 9 h":                {empty: 9, unread: 1, rests: true},
		"empty for 9 h, 2 h unread":    {empty: 9, unread: 2},
		"empty for a day, 2 h unread":  {empty: 24, unread: 2, rests: true},
		"empty for a day, 3 h unread":  {empty: 24, unread: 3},
		"empty for a week, 5 h unread": {empty: 7 * 24, unread: 5, rests: true},
		"empty for a week, 6 h unread": {empty: 7 * 24, unread: 6},
		"always empty, 5 h unread":     {empty: -1, unread: 5, rests: true},
		"always empty, 6 h unread":     {empty: -1, unread: 6},
		"empty for 1 h, all read":      {empty: 1, unread: 0, rests: true},
		"always empty, all read":       {empty: -1, unread: 0, rests: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			f := a.Function("f")
			readFrom := today.AddDate(0, 0, -20)
			until := today.AddDate(0, 0, 10)
			records := []archive.Invocation{}
			if test.empty >= 0 {
				records = append(records, record("r", archive.StatusSuccess, until.Add(-time.Duration(test.empty)*time.Hour-time.Minute)))
			}
			commit(t, a.claim(f), lastPage(archive.Span{From: readFrom, To: until}, noted, records...))
			to := until.Add(time.Duration(test.unread) * time.Hour)
			o := archive.Order{Range: archive.Span{From: to.AddDate(0, 0, -7), To: to}, Older: true, Rest: true}
			for _, o.Rest = range []bool{true, false} {
				due, err := a.store.Due(t.Context(), []archive.Known{f}, o, noted)
				if err != nil {
					t.Fatal(err)
				}
				want := []string{}
				if test.unread > 0 && !(o.Rest && test.rests) {
					want = append(want, fmt.Sprint(test.unread))
				}
				got := []string{}
				for _, d := range due {
					got = append(got, fmt.Sprint(d.Windows))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("windows due with Rest %t (-want +got):\n%s", o.Rest, diff)
				}
			}
			// The status page shows the same.
			err := a.Read.Snapshot(t.Context(), func(s *read.Snapshot) error {
				functions, err := s.Functions(t.Context())
				if err != nil {
					return err
				}
				if until := functions[0].RestsUntil; until == nil || to.Before(*until) != test.rests {
					t.Errorf("the range ends at %v, and the function rests until %v", to, until)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Open windows, and hours without a row, are due even if a function has been empty
// for long.
func TestRestIsForWhatIsWhole(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	open, holed, young := a.Function("open"), a.Function("holed"), a.Function("young")
	first, second := a.claim(open), a.claim(holed)
	commit(t, first, lastPage(span(0, 47), noted))
	commit(t, first, page(span(47, 48), noted))
	commit(t, second, lastPage(span(0, 24), noted))
	commit(t, second, lastPage(span(25, 48), noted))
	commit(t, a.claim(young), lastPage(span(12, 48), noted))
	// Expired hours are no hole.
	aged := a.claim(a.Function("aged"))
	b := lastPage(span(0, 48), noted)
	b.Outcome.Expired = map[time.Time]archive.Expired{hour(0): {Unproven: true}, hour(1): {Missed: true}}
	commit(t, aged, b)
	o := archive.Order{Range: span(6, 49), Older: true, Rest: true}
	due, err := a.store.Due(t.Context(), []archive.Known{open, holed, young, aged.function}, o, noted)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, d := range due {
		got[d.Name] = d.Windows
	}
	if diff := cmp.Diff(map[string]int{"open": 2, "holed": 2, "young": 7}, got); diff != "" {
		t.Errorf("windows due (-want +got):\n%s", diff)
	}
}

// Work lists complete windows, from the first one that is soon to be verified. If a
// complete window is read again, it keeps the time of its completion.
func TestCompleteWindows(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	ago := func(hours float64) time.Time { return noted.Add(-time.Duration(hours * float64(time.Hour))) }
	commit(t, c, lastPage(span(0, 2), ago(9)))
	commit(t, c, lastPage(span(2, 3), ago(5.1), record("r", archive.StatusSuccess, hour(2))))
	commit(t, c, lastPage(span(3, 4), ago(4.1)))
	commit(t, c, lastPage(span(4, 6), ago(1)))
	if err := c.Verified(t.Context(), span(0, 2), noted); err != nil {
		t.Fatal(err)
	}
	o := archive.Order{Range: span(0, 9), VerifyAfter: 6 * time.Hour}
	complete := func() []archive.Complete {
		t.Helper()
		work, err := c.Work(t.Context(), o, noted)
		if err != nil {
			t.Fatal(err)
		}
		return work.Complete
	}
	want := []archive.Complete{
		{Window: hour(2), Records: 1, Verify: true}, {Window: hour(3), Verify: true},
		{Window: hour(4)}, {Window: hour(5)},
	}
	if diff := cmp.Diff(want, complete()); diff != "" {
		t.Errorf("complete (-want +got):\n%s", diff)
	}
	commit(t, c, lastPage(span(0, 7), noted, record("r", archive.StatusSuccess, hour(2))))
	if diff := cmp.Diff(append(want, archive.Complete{Window: hour(6)}), complete()); diff != "" {
		t.Errorf("complete after a second reading (-want +got):\n%s", diff)
	}
	if n := value[int](a, `SELECT count(*) FROM windows WHERE verified_at IS NOT NULL`); n != 2 {
		t.Errorf("%d windows are verified, want the two that were before", n)
	}
	if err := c.Verified(t.Context(), span(2, 4), noted); err != nil {
		t.Fatal(err)
	}
	if got := complete(); len(got) > 0 {
		t.Errorf("no window is soon to be verified, but %v are listed as complete", got)
	}
}

// If a record turns out to have left a window, all windows that were compared by the same
// count are compared again: the record may have stood for another one in that count.
func TestComparedTogether(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	running := record("waits", archive.StatusWait, time.Time{})
	commit(t, c, lastPage(span(0, 8), noted, record("moves", archive.StatusSuccess, hour(1)), record("changes", archive.StatusFail, hour(5))))
	commit(t, c, lastPage(span(7, 8), noted, running))
	for i, s := range []archive.Span{span(0, 4), span(4, 8)} {
		if err := c.Verified(t.Context(), s, later.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	due := func() []time.Time {
		t.Helper()
		work, err := c.Work(t.Context(), archive.Order{Range: span(0, 9), VerifyAfter: time.Minute}, later)
		if err != nil {
			t.Fatal(err)
		}
		return work.Verify
	}
	// A record that stays in its window was counted, and one without a start was never counted.
	running.Start = hour(8)
	commit(t, c, lastPage(span(8, 9), later, running, record("changes", archive.StatusSuccess, hour(5).Add(time.Minute))))
	if got := due(); len(got) > 0 {
		t.Errorf("to be compared again: %v", got)
	}
	commit(t, c, lastPage(span(8, 9), later, record("moves", archive.StatusSuccess, hour(8))))
	if diff := cmp.Diff([]time.Time{hour(0), hour(1), hour(2), hour(3)}, due()); diff != "" {
		t.Errorf("to be compared again (-want +got):\n%s", diff)
	}
	a.CheckWindows()
}

// Complete windows that cannot be read again stay complete, and leave no open walk: they are
// not due.
func TestFailOfCompleteWindows(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	c := a.newClaim("f")
	commit(t, c, lastPage(span(0, 2), noted))
	commit(t, c, page(span(2, 3), noted))
	for _, test := range []struct {
		span         archive.Span
		failed, open int
	}{{span(0, 2), 0, 1}, {span(2, 3), 1, 1}, {span(0, 3), 1, 1}} {
		b := page(test.span, later)
		b.Walk.Cursor = "page 2"
		commit(t, c, b)
		failed, err := c.Fail(t.Context(), test.span, archive.Refusal{Reason: "down"}, later)
		if err != nil || failed != test.failed {
			t.Errorf("%s: %d windows failed, %v", test.span, failed, err)
		}
		if n := value[int](a, `SELECT count(*) FROM walks`); n != test.open {
			t.Errorf("%s: %d open walks", test.span, n)
		}
	}
	if n := value[int](a, `SELECT count(*) FROM windows WHERE state = 'complete'`); n != 2 {
		t.Errorf("%d complete windows", n)
	}
}
