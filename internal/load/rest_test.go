package load

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// A function that has been empty for long is due less often, up to every
// archive.RestAtMost; a run that does not rest asks for all of it.
func TestRest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		empty  int // hours since the last record, up to what has been read
		unread int // hours since then
		rests  bool
	}{
		"a moment ago":             {empty: 1, unread: 1},
		"less than eight hours":    {empty: 7, unread: 1},
		"for eight hours":          {empty: 8, unread: 1},
		"for nine":                 {empty: 9, unread: 1, rests: true},
		"for nine, two hours on":   {empty: 9, unread: 2},
		"for a day, two hours on":  {empty: 24, unread: 2, rests: true},
		"for a day, three on":      {empty: 24, unread: 3},
		"for a week, five on":      {empty: 7 * 24, unread: 5, rests: true},
		"for a week, six on":       {empty: 7 * 24, unread: 6},
		"always, five hours on":    {empty: -1, unread: 5, rests: true},
		"always, six hours on":     {empty: -1, unread: 6},
		"nothing new to be asked":  {empty: 1, unread: 0, rests: true},
		"nothing new, also not so": {empty: -1, unread: 0, rests: true},
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
					t.Errorf("windows due where rest is %t (-want +got):\n%s", o.Rest, diff)
				}
			}
			// A page says the same of it.
			err := a.Read.Snapshot(t.Context(), func(s *read.Snapshot) error {
				functions, err := s.Functions(t.Context())
				if err != nil {
					return err
				}
				if until := functions[0].RestsUntil; until == nil || to.Before(*until) != test.rests {
					t.Errorf("up to %v it rests until %v", to, until)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Open and unknown windows are due however long a function has been empty.
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
	o := archive.Order{Range: span(6, 49), Older: true, Rest: true}
	due, err := a.store.Due(t.Context(), []archive.Known{open, holed, young}, o, noted)
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

// What is complete comes with the work once the first of it is soon to be
// verified; a window read again was complete since the first time.
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
		t.Errorf("complete once it was read again (-want +got):\n%s", diff)
	}
	if n := value[int](a, `SELECT count(*) FROM windows WHERE verified_at IS NOT NULL`); n != 2 {
		t.Errorf("%d windows are verified, want the two that were before", n)
	}
	if err := c.Verified(t.Context(), span(2, 4), noted); err != nil {
		t.Fatal(err)
	}
	if got := complete(); len(got) > 0 {
		t.Errorf("complete are %v where none is soon to be verified", got)
	}
}
