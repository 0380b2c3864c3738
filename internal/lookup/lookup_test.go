package lookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"archiver/internal/archive"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// A source lists its records as they are, in pages, for every question.
type source struct {
	pages []archive.Page
	asked []archive.Query
	read  int
	err   error // after the last page

	each    func(archive.Query) int // asked for each page
	granted []int
}

func (*source) ID() archive.SourceID       { return archive.SourceID{} }
func (*source) Stats() archive.SourceStats { return archive.SourceStats{} }
func (*source) Functions(context.Context) iter.Seq2[[]archive.Function, error] {
	return func(func([]archive.Function, error) bool) {}
}

func (s *source) Pages(_ context.Context, q archive.Query) iter.Seq2[archive.Page, error] {
	s.asked = append(s.asked, q)
	return func(yield func(archive.Page, error) bool) {
		for _, p := range s.pages {
			if s.each != nil {
				s.granted = append(s.granted, s.each(q))
			}
			if s.read++; !yield(p, nil) {
				return
			}
		}
		if s.err != nil {
			yield(archive.Page{}, s.err)
		}
	}
}

// listed is a source with a list of these records, so many a page.
func listed(records []archive.Invocation, size int) *source {
	s := &source{}
	for page := range slices.Chunk(records, size) {
		s.pages = append(s.pages, archive.Page{Invocations: page, Count: len(records)})
	}
	return s
}

func live(t *testing.T, s *source, a Asked) (ids []string, found Found) {
	t.Helper()
	found, err := Live(t.Context(), s, a, func(inv archive.Invocation) error {
		ids = append(ids, inv.RequestID)
		if inv.Start.Nanosecond()%1000 != 0 {
			t.Errorf("%s starts at %s", inv.RequestID, inv.Start)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found.Shown != len(ids) {
		t.Errorf("%d shown, said to be %d", len(ids), found.Shown)
	}
	return ids, found
}

func record(n int, start time.Time) archive.Invocation {
	return archive.Invocation{RequestID: fmt.Sprintf("r-%03d", n), Status: archive.StatusSuccess, Start: start}
}

// For each order of a source's list, and if it repeats records, the newest that
// match are shown, newest first, each once.
func TestLiveShowsTheNewest(t *testing.T) {
	t.Parallel()
	statuses := []string{archive.StatusSuccess, archive.StatusFail, archive.StatusRunning, "ODD"}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		records := make([]archive.Invocation, r.IntN(60))
		for i := range records {
			// Few different times, so that many are equal, some outside, and times
			// of which the archive has only microseconds.
			records[i] = record(i, noon.Add(time.Duration(r.IntN(30)-5)*time.Minute+time.Duration(r.IntN(2))*1500))
			records[i].Status = statuses[r.IntN(len(statuses))]
		}
		q := archive.Question{From: noon, To: noon.Add(time.Duration(1+r.IntN(20)) * time.Minute)}
		for range r.IntN(3) {
			q.Statuses = append(q.Statuses, statuses[r.IntN(len(statuses))])
		}
		var want []archive.Invocation
		for _, inv := range records {
			inv.Start = inv.Start.Truncate(time.Microsecond)
			if q.Matches(&inv) {
				want = append(want, inv)
			}
		}
		newestFirst := func(a, b archive.Invocation) int {
			return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.RequestID, b.RequestID))
		}
		slices.SortFunc(want, newestFirst)
		limit := 1 + r.IntN(20)
		more := len(want) > limit
		want = want[:min(limit, len(want))]

		r.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		order := r.IntN(3)
		switch order {
		case 0:
			// Those of one time in any order, as sources have them.
			slices.SortStableFunc(records, func(a, b archive.Invocation) int { return b.Start.Compare(a.Start) })
		case 1:
			slices.SortStableFunc(records, func(a, b archive.Invocation) int { return a.Start.Compare(b.Start) })
		}
		size := 1 + r.IntN(10)
		s := listed(records, size)
		for i := 1; i < len(s.pages); i++ {
			if r.IntN(4) == 0 { // the list moved between two pages
				before := s.pages[i-1].Invocations
				s.pages[i].Invocations = slices.Concat(before[len(before)-1:], s.pages[i].Invocations)
			}
		}
		if order == 2 && limit < size*3 {
			// A list in no order whose beginning happens to fall is one of those
			// that nothing tells from one that goes on to.
			for i := range s.pages {
				s.pages[i].Lists = 1
			}
		}
		got, found := live(t, s, Asked{Question: q, Limit: limit})
		var ids []string
		for _, inv := range want {
			ids = append(ids, inv.RequestID)
		}
		if diff := gocmp.Diff(ids, got); diff != "" || found.More != more || found.Missing != 0 {
			t.Fatalf("seed %d: %+v, more %t, order %d (-want +got):\n%s", seed, found, more, order, diff)
		}
	}
}

// Of a list that is newest first no more is read than has to be; of others, all.
func TestLiveStopsReading(t *testing.T) {
	t.Parallel()
	var records []archive.Invocation
	for i := range 100 {
		records = append(records, record(i, noon.Add(-time.Duration(i)*time.Second)))
	}
	ask := Asked{Question: archive.Question{From: noon.Add(-time.Hour), To: noon.Add(time.Second)}, Limit: 10}
	oldest := slices.Clone(records)
	slices.Reverse(oldest)
	same := slices.Clone(records)
	for i := range same {
		same[i].Start = noon
	}
	several := listed(records, 10)
	for i := range 5 {
		several.pages[i].Lists = 1
	}
	for name, c := range map[string]struct {
		source *source
		reads  int
		limit  int
	}{
		"newest first":               {listed(records, 10), 2, 10}, // the 11th shows that there are more
		"newest first, a page":       {listed(records, 20), 1, 10},
		"oldest first":               {listed(oldest, 10), 10, 10},
		"all at once":                {listed(same, 10), 10, 10},
		"another list follows":       {several, 6, 10},
		"as many as there are":       {listed(records, 10), 10, 100},
		"all":                        {listed(records, 10), 10, 0},
		"one, which is at the front": {listed(records, 10), 1, 1},
	} {
		ask := ask
		ask.Limit = c.limit
		got, found := live(t, c.source, ask)
		if c.source.read != c.reads || found.More != (c.limit > 0 && c.limit < 100) || found.Missing != 0 {
			t.Errorf("%s: %d pages were read, want %d, %+v", name, c.source.read, c.reads, found)
		}
		if want := max(c.limit, 0); c.limit > 0 && len(got) != want || c.limit == 0 && len(got) != 100 {
			t.Errorf("%s: %d shown", name, len(got))
		}
	}

	ask.Question.RequestID = records[15].RequestID
	for _, limit := range []int{0, 10} {
		s := listed(records, 10)
		ask.Limit = limit
		got, found := live(t, s, ask)
		if !slices.Equal(got, []string{"r-015"}) || s.read != 2 || found.More || found.Missing != 0 {
			t.Errorf("one request: %q, %d pages, %+v", got, s.read, found)
		}
		if q := s.asked[0]; q.RequestID != "r-015" || !q.Search || !q.Newest {
			t.Errorf("%+v", q)
		}
	}
}

// What the answer does not show is told: records that are none, that the source
// files elsewhere, or counts and does not give.
func TestLiveTellsWhatIsNotShown(t *testing.T) {
	t.Parallel()
	s := listed([]archive.Invocation{
		record(0, noon), record(1, noon.Add(-time.Second)), record(2, noon.Add(-2*time.Second)),
		record(3, noon.Add(time.Hour)), record(4, noon.Add(time.Hour+2*time.Second)), {RequestID: "r-005", Status: archive.StatusWait},
	}, 10)
	s.pages[0].Rejected = []archive.Rejected{{Reason: "first"}, {Reason: "second"}}
	s.pages[0].Count = 11
	got, found := live(t, s, Asked{Question: archive.Question{From: noon, To: noon.Add(time.Hour)}})
	want := Found{Shown: 2, Outside: 2, Missing: 3, Rejected: 2, Reason: "first"}
	if diff := gocmp.Diff(want, found); diff != "" || !slices.Equal(got, []string{"r-000", "r-005"}) {
		t.Errorf("%q (-want +got):\n%s", got, diff)
	}
}

// Where all is read, so many pages may be asked for before their turn, and no
// more; where it may not be, none.
func TestLiveAsksAhead(t *testing.T) {
	t.Parallel()
	s := listed([]archive.Invocation{record(1, noon), record(2, noon)}, 1)
	s.pages[0].Ahead = 2
	a := Asked{Question: archive.Question{From: noon, To: noon.Add(time.Minute)}, Ahead: 3}
	s.each = func(q archive.Query) (granted int) {
		for q.Ahead() {
			granted++
		}
		return granted
	}
	live(t, s, a)
	if !slices.Equal(s.granted, []int{3, 1}) { // two of three are under way after the first page
		t.Errorf("granted %d", s.granted)
	}
	s.each = nil
	a.Limit = 5
	live(t, s, a)
	a.Limit, a.Question.RequestID = 0, "r-001"
	live(t, s, a)
	if s.asked[1].Ahead != nil || s.asked[2].Ahead != nil {
		t.Error("pages may be asked for that need not be read")
	}
}

// Records without a start stand where the source lists them.
func TestLivePlacesWhatHasNoStart(t *testing.T) {
	t.Parallel()
	s := listed([]archive.Invocation{
		{RequestID: "waits"}, record(1, noon.Add(2*time.Second)), {RequestID: "waits too"}, record(2, noon), {RequestID: "waits longest"},
	}, 2)
	got, _ := live(t, s, Asked{Question: archive.Question{From: noon, To: noon.Add(time.Minute)}, Limit: 9})
	if want := []string{"waits", "r-001", "waits too", "r-002", "waits longest"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Where the source fails, what came before is shown, and the error is returned;
// so is the end of the context, and a reader who cannot show anything more.
func TestLiveFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, limit := range []int{0, 10} {
		s := listed([]archive.Invocation{record(1, noon), record(2, noon)}, 1)
		s.err = broken
		a := Asked{Function: archive.Function{URN: "urn:f"}, Question: archive.Question{From: noon, To: noon.Add(time.Hour)}, Limit: limit}
		shown := 0
		found, err := Live(t.Context(), s, a, func(archive.Invocation) error { shown++; return nil })
		if !errors.Is(err, broken) || shown != 2 || found.Shown != 2 {
			t.Errorf("limit %d: %d shown, %+v, %v", limit, shown, found, err)
		}
		s.err = nil
		full := errors.New("full")
		if found, err := Live(t.Context(), s, a, func(archive.Invocation) error { return full }); !errors.Is(err, full) || found.Shown != 0 {
			t.Errorf("limit %d: %+v, %v", limit, found, err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(archive.ErrInterrupted)
		if _, err := Live(ctx, &source{}, a, func(archive.Invocation) error { return nil }); !errors.Is(err, archive.ErrInterrupted) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func (*source) Traits() archive.Traits { return archive.Traits{} }

func (*source) Ping(context.Context) error { return nil }
