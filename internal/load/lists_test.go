package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/archive"
	"archiver/internal/load/loadtest"
	"archiver/internal/load/read"
)

const retention = 30 * 24 * time.Hour

// list is a list of functions that the source gives, whole or not.
func list(t *testing.T, a *archiveDB, at time.Time, e *archive.ListError, names ...string) map[string]archive.Known {
	t.Helper()
	functions := make([]archive.Function, len(names))
	for i, name := range names {
		functions[i] = archive.Function{URN: "urn:" + name, Name: name}
	}
	known, err := a.store.SeeFunctions(t.Context(), loadtest.Source, functions, at)
	if err == nil {
		err = a.store.EndList(t.Context(), loadtest.Source, e, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return byName(known)
}

func byName(known []archive.Known) map[string]archive.Known {
	of := make(map[string]archive.Known, len(known))
	for _, k := range known {
		of[k.Name] = k
	}
	return of
}

func unlisted(t *testing.T, a *archiveDB, at time.Time) map[string]archive.Known {
	t.Helper()
	known, err := a.store.UnseenFunctions(t.Context(), loadtest.Source, at, retention)
	if err != nil {
		t.Fatal(err)
	}
	return byName(known)
}

// A function that whole lists do not name is missing since the first of them. It has the
// windows that began before, and no later ones, until a list names it again.
func TestMissingFunctions(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	at := func(h int) time.Time { return hour(h).Add(7 * time.Minute) }
	first := list(t, a, at(0), nil, "stays", "goes")
	if f := first["goes"]; !f.FirstSeen.Equal(at(0)) || f.FirstSeen.Location() != time.UTC || !f.Missing.IsZero() || !f.Gone.IsZero() {
		t.Errorf("a new function is %+v", f)
	}
	if err := a.store.SeeVersions(t.Context(), first["goes"], []archive.Function{{URN: "urn:goes:1", Name: "version"}}, at(1)); err != nil {
		t.Fatal(err)
	}
	list(t, a, at(1), &archive.ListError{Listed: 1, Counted: 2}, "stays")
	if f := unlisted(t, a, at(1))["goes"]; f.ID == 0 || !f.Missing.IsZero() {
		t.Errorf("after a list that was not whole it is %+v", f)
	}
	list(t, a, at(2), nil, "stays")
	list(t, a, at(3), nil, "stays")
	f := unlisted(t, a, at(3))["goes"]
	if !f.Missing.Equal(at(2)) || f.Missing.Location() != time.UTC || !f.FirstSeen.Equal(at(0)) {
		t.Errorf("after whole lists it is %+v", f)
	}
	versions, err := a.store.Versions(t.Context(), loadtest.Source)
	if err != nil || len(versions) != 1 || !versions[0].Missing.Equal(at(2)) || !versions[0].FirstSeen.Equal(at(1)) {
		t.Errorf("its versions are %+v, %v", versions, err)
	}
	if s := a.Status(); s[0].Name != "goes" || s[0].MissingSince == nil || !s[0].MissingSince.Equal(at(2)) {
		t.Errorf("the status is %+v", s)
	}

	// Hours 0 to 2 began while it was listed.
	for name, test := range map[string]struct {
		order archive.Order
		want  int
	}{
		"run":   {runOrder(span(0, 6)), 3},
		"force": {archive.Order{Range: span(1, 6), Force: true}, 2},
		"later": {archive.Order{Range: span(3, 6)}, 0},
	} {
		due, err := a.store.Due(t.Context(), []archive.Known{f}, test.order, at(6))
		if err != nil || len(due) != min(test.want, 1) || len(due) == 1 && (due[0].Windows != test.want || !due[0].Newest.Equal(hour(2))) {
			t.Errorf("%s: due are %+v, %v", name, due, err)
		}
		if work, err := a.claim(f).Work(t.Context(), test.order, at(6)); err != nil || len(work.Windows) != test.want {
			t.Errorf("%s: the work is %+v, %v", name, work, err)
		}
		a.Exec(`UPDATE claims SET expires_at = '-infinity'`)
		if err := a.store.Plan(t.Context(), due, test.order); err != nil {
			t.Fatal(err)
		}
	}
	if n := value[int](a, `SELECT count(*) FROM windows`); n != 3 {
		t.Errorf("%d windows are planned", n)
	}
	if f := list(t, a, at(6), nil, "stays", "goes")["goes"]; !f.Missing.IsZero() {
		t.Errorf("listed again, it is %+v", f)
	}
	if left := unlisted(t, a, at(6)); len(left) != 0 {
		t.Errorf("unlisted are %v", left)
	}
}

// The state of a source's list is kept.
func TestEndList(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	check := func(want ...string) {
		t.Helper()
		got := a.Rows(`SELECT region, EXTRACT(HOUR FROM listed_at AT TIME ZONE 'UTC'), whole, listed, counted, EXTRACT(HOUR FROM whole_at AT TIME ZONE 'UTC'), last_error IS NULL FROM source_lists ORDER BY region`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	list(t, a, hour(1), &archive.ListError{Listed: 1, Counted: 30}, "f")
	check("(cn-north-4,1,f,1,30,,f)")
	list(t, a, hour(2), nil, "f", "g")
	check("(cn-north-4,2,t,2,,2,t)")
	list(t, a, hour(3), &archive.ListError{Listed: 2, Counted: -1}, "f", "h")
	elsewhere := loadtest.Source
	elsewhere.Region = "another"
	if err := a.store.EndList(t.Context(), elsewhere, nil, hour(4)); err != nil {
		t.Fatal(err)
	}
	check("(another,4,t,0,,4,t)", "(cn-north-4,3,f,2,,2,f)")
	err := a.Read.Snapshot(t.Context(), func(s *read.Snapshot) error {
		lists, err := s.Lists(t.Context())
		if len(lists) != 2 || lists[1].Whole || lists[1].Listed != 2 || lists[1].Counted != nil || !lists[1].WholeAt.Equal(hour(2)) || lists[1].LastError == nil {
			t.Errorf("lists are %+v", lists)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A function that the list names, and of which the source says that it does not exist, is
// asked again once a day. A backfill asks at once.
func TestGoneAndListed(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	f := list(t, a, hour(0), nil, "f")["f"]
	c := a.claim(f)
	if err := c.Gone(t.Context(), []archive.Span{span(0, 6)}, hour(6)); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		order archive.Order
		at    time.Time
		want  int // windows
	}{
		{runOrder(span(0, 8)), hour(8), 0},
		{runOrder(span(0, 29)), hour(29), 0},
		{archive.Order{Range: span(0, 8)}, hour(29), 8},
		{runOrder(span(0, 52)), hour(52), 0}, // the backfill has asked
		{runOrder(span(0, 53)), hour(53), 53},
		{runOrder(span(0, 53)), hour(53), 0},
	} {
		f := list(t, a, test.at, nil, "f")["f"]
		if !f.Gone.Equal(hour(6)) {
			t.Errorf("it is %+v", f)
		}
		due, err := a.store.Due(t.Context(), []archive.Known{f}, test.order, test.at)
		if n := len(due); err != nil || n != min(test.want, 1) || n == 1 && due[0].Windows != test.want {
			t.Errorf("%s: due are %+v, %v", test.at, due, err)
		}
		c := a.claim(f)
		work, err := c.Work(t.Context(), test.order, test.at)
		if err != nil || len(work.Windows) != test.want {
			t.Errorf("%s: the work is %+v, %v", test.at, work, err)
		}
		if err := c.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// It went missing and came back: it may be another one.
	list(t, a, hour(54), nil)
	if f := list(t, a, hour(55), nil, "f")["f"]; !f.Gone.IsZero() || !f.Missing.IsZero() {
		t.Errorf("it is %+v", f)
	}
}

// A function that is gone is asked again once a day, for the windows that are gone too,
// for as long as the source keeps records. If it answers, it is not gone any more.
func TestGoneIsAskedAgain(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const day = 24 * time.Hour
	f := list(t, a, hour(0), nil, "f")["f"]
	list(t, a, hour(6), nil)
	c := a.claim(f)
	if err := c.Gone(t.Context(), []archive.Span{span(0, 6)}, hour(6)); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := func(at time.Time) bool {
		t.Helper()
		var ok bool
		f, ok = unlisted(t, a, at)["f"]
		return ok
	}
	o := runOrder(span(0, 30))
	due := func() (n int) {
		t.Helper()
		due, err := a.store.Due(t.Context(), []archive.Known{f}, o, later)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range due {
			n += d.Windows
		}
		return n
	}
	if asked(hour(6).Add(day - time.Second)) {
		t.Error("it is asked within a day")
	}
	for d := 1; d < 4; d++ {
		at := hour(6).Add(time.Duration(d) * day)
		if !asked(at) || !f.Gone.Equal(hour(6)) || f.Gone.Location() != time.UTC {
			t.Fatalf("after %d days it is %+v", d, f)
		}
		if n := due(); n != 7 { // up to the hour in which it went missing
			t.Errorf("%d windows are due", n)
		}
		c := a.claim(f)
		work, err := c.Work(t.Context(), o, at)
		if err != nil || len(work.Windows) != 7 {
			t.Errorf("the work is %+v, %v", work, err)
		}
		if d%2 == 1 {
			err = c.Gone(t.Context(), archive.Spans(work.Windows), at)
		} else {
			_, err = c.Fail(t.Context(), span(0, 7), archive.Refusal{Reason: "401"}, at)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if states := a.Rows(`SELECT state, count(*) FROM windows GROUP BY state`); !cmp.Equal(states, []string{"(gone,7)"}) {
			t.Errorf("its windows are %v", states)
		}
		if asked(at.Add(day - time.Second)) {
			t.Error("it is asked again within a day")
		}
	}
	if asked(hour(6).Add(retention)) {
		t.Error("it is asked when the source has no records any more")
	}
	// It answers.
	if !asked(hour(6).Add(9 * day)) {
		t.Fatal("it is not asked again")
	}
	c = a.claim(f)
	commit(t, c, lastPage(span(0, 7), later, record("r", archive.StatusSuccess, hour(1))))
	if n := value[int](a, `SELECT count(*) FROM functions WHERE gone_at IS NULL AND gone_asked_at IS NULL`); n != 1 {
		t.Error("it answers and is gone")
	}
	if states := a.Rows(`SELECT state, count(*) FROM windows GROUP BY state`); !cmp.Equal(states, []string{"(complete,7)"}) {
		t.Errorf("its windows are %v", states)
	}
	a.CheckWindows()
}
