package loop

import (
	"hash/maphash"
	"maps"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
)

// sent is a page with the count and the elements given: ids, or payloads that
// no row can hold after an exclamation mark.
func sent(count int, elements string) archive.Page {
	p := archive.Page{Count: count}
	for _, e := range strings.Fields(elements) {
		if payload, ok := strings.CutPrefix(e, "!"); ok {
			p.Rejected = append(p.Rejected, archive.Rejected{Payload: []byte(payload), Start: hour(0)})
		} else {
			p.Invocations = append(p.Invocations, archive.Invocation{RequestID: e, Status: archive.StatusSuccess, Start: hour(0)})
		}
	}
	return p
}

func tallied(seed maphash.Seed, pages ...archive.Page) *tally {
	t := newTally(seed, span(0, 1))
	for i := range pages {
		t.add(&pages[i])
	}
	return t
}

// Each way in which a walk can reach its last page.
func TestVerdict(t *testing.T) {
	t.Parallel()
	const none = -1
	for _, tc := range []struct {
		name     string
		resumed  int
		known    string // what the archive has; where resumed only
		pages    []archive.Page
		want     verdict
		distinct int
	}{
		{"empty, counted", 0, "", []archive.Page{sent(0, "")}, whole, 0},
		{"empty, no count", 0, "", []archive.Page{sent(none, "")}, whole, 0},
		{"count right, one page", 0, "", []archive.Page{sent(2, "a b")}, whole, 2},
		{"count right, three pages", 0, "", []archive.Page{sent(5, "a b"), sent(5, "c d"), sent(5, "e")}, whole, 5},
		{"count right, exact multiple, the last page full", 0, "", []archive.Page{sent(4, "a b"), sent(4, "c d")}, whole, 4},
		{"count right, exact multiple, an empty page after", 0, "", []archive.Page{sent(4, "a b"), sent(4, "c d"), sent(4, "")}, whole, 4},
		{"more is counted than given", 0, "", []archive.Page{sent(3, "a b")}, drifted, 2},
		{"more is counted than given by two pages", 0, "", []archive.Page{sent(4, "a b"), sent(4, "c")}, drifted, 3},
		{"more is given than counted", 0, "", []archive.Page{sent(1, "a b")}, uncounted, 2},

		{"no count, one page", 0, "", []archive.Page{sent(none, "a b")}, whole, 2},
		{"no count, two pages", 0, "", []archive.Page{sent(none, "a b"), sent(none, "c")}, uncounted, 3},
		{"no count on the last page only", 0, "", []archive.Page{sent(3, "a b"), sent(none, "c")}, uncounted, 3},
		{"no count but on the last page", 0, "", []archive.Page{sent(none, "a b"), sent(3, "c")}, uncounted, 3},

		{"own length, one page", 0, "", []archive.Page{sent(2, "a b")}, whole, 2},
		{"own length, two pages", 0, "", []archive.Page{sent(2, "a b"), sent(1, "c")}, uncounted, 3},
		{"own length, exact multiple", 0, "", []archive.Page{sent(2, "a b"), sent(2, "c d")}, uncounted, 4},
		{"own length, an empty page after", 0, "", []archive.Page{sent(2, "a b"), sent(0, "")}, uncounted, 2},

		{"one arrived between pages, and was seen", 0, "", []archive.Page{sent(3, "a b"), sent(4, "c d")}, drifted, 4},
		{"one arrived between pages, the border came again", 0, "", []archive.Page{sent(3, "a b"), sent(4, "b c")}, drifted, 3},
		{"one vanished between pages, another was never seen", 0, "", []archive.Page{sent(4, "a b"), sent(3, "d")}, drifted, 3},
		{"the count went and came back", 0, "", []archive.Page{sent(3, "a"), sent(4, "b"), sent(3, "c")}, drifted, 3},
		{"one moved over the border", 0, "", []archive.Page{sent(4, "a b"), sent(4, "b c")}, uncounted, 3},

		{"a page repeats records, all are there", 0, "", []archive.Page{sent(3, "a b"), sent(3, "b c")}, whole, 3},
		{"a record twice on one page", 0, "", []archive.Page{sent(2, "a b a")}, whole, 2},
		{"a record twice on one page, both counted", 0, "", []archive.Page{sent(3, "a b a")}, uncounted, 2},

		{"resumed, the archive has the pages before", 2, "a b", []archive.Page{sent(3, "c")}, whole, 3},
		{"resumed, nothing left", 2, "a b", []archive.Page{sent(2, "")}, whole, 2},
		{"resumed, the archive has more than these pages", 2, "a b c", []archive.Page{sent(3, "c")}, drifted, 2},
		{"resumed, the archive has all of it", 2, "a b c d", []archive.Page{sent(4, "c d")}, drifted, 2},
		{"resumed, the border came again", 2, "a b", []archive.Page{sent(4, "b c")}, drifted, 3},
		{"resumed, more is given than counted", 2, "a b", []archive.Page{sent(3, "c d")}, drifted, 4},
		{"resumed, no count", 2, "a b", []archive.Page{sent(none, "c")}, uncounted, 3},
		{"resumed, own length", 2, "a b", []archive.Page{sent(1, "c")}, uncounted, 3},
		{"resumed, the count changed", 2, "a b", []archive.Page{sent(5, "c d"), sent(6, "e f")}, drifted, 6},

		{"rejected ones count", 0, "", []archive.Page{sent(3, "a !x !y")}, whole, 3},
		{"nothing but a rejected one", 0, "", []archive.Page{sent(1, "!x")}, whole, 1},
		{"a rejected one came again", 0, "", []archive.Page{sent(3, "a !x"), sent(3, "!x")}, uncounted, 2},
		{"resumed, rejected ones count", 2, "a b", []archive.Page{sent(4, "c !x")}, whole, 4},
		// One answer that holds the same unusable element twice holds two.
		{"rejected ones that look the same", 0, "", []archive.Page{sent(3, "a !null !null")}, whole, 3},
		{"rejected ones that look the same, three of them", 0, "", []archive.Page{sent(3, "!null !null !null")}, whole, 3},
		{"rejected ones that look the same, one is missing", 0, "", []archive.Page{sent(4, "a !null !null")}, drifted, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			seed := maphash.MakeSeed()
			tally := newTally(seed, span(0, 1))
			if tc.resumed > 0 {
				known := make(map[uint64]struct{})
				for id := range strings.FieldsSeq(tc.known) {
					known[maphash.String(seed, id)] = struct{}{}
				}
				tally.resume(archive.Walk{Seen: tc.resumed, Count: tc.pages[0].Count}, known)
			}
			tc.pages[len(tc.pages)-1].Last = true
			for i := range tc.pages {
				tally.add(&tc.pages[i])
			}
			if got := tally.verdict(); got != tc.want {
				t.Errorf("the verdict is %d, want %d", got, tc.want)
			}
			if got := tally.distinct(); got != tc.distinct {
				t.Errorf("%d distinct elements seen, want %d", got, tc.distinct)
			}
		})
	}
}

func TestAgreement(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	walk := func(pages ...archive.Page) *tally { return tallied(seed, pages...) }
	first := walk(sent(-1, "a b"), sent(-1, "c"))
	for _, tc := range []struct {
		name  string
		other *tally
		want  bool
	}{
		{"the same", walk(sent(-1, "a b"), sent(-1, "c")), true},
		{"the same in another order and other pages", walk(sent(-1, "c"), sent(-1, "b"), sent(-1, "a")), true},
		{"the same, with repetitions", walk(sent(-1, "a b"), sent(-1, "b c")), true},
		{"one less", walk(sent(-1, "a b")), false},
		{"one more", walk(sent(-1, "a b"), sent(-1, "c d")), false},
		{"another one", walk(sent(-1, "a b"), sent(-1, "d")), false},
		{"none before", nil, false},
	} {
		if got := first.agrees(tc.other); got != tc.want {
			t.Errorf("%s: two walks agree: %v", tc.name, got)
		}
	}
	resumed := newTally(seed, span(0, 1))
	resumed.resume(archive.Walk{Seen: 2, Count: -1}, map[uint64]struct{}{})
	third := sent(-1, "a b c")
	resumed.add(&third)
	if resumed.agrees(first) || first.agrees(resumed) {
		t.Error("a walk that resumed agrees with one from the first page on")
	}
}

func TestCountsByWindow(t *testing.T) {
	t.Parallel()
	at := func(id string, start time.Time) archive.Invocation {
		return archive.Invocation{RequestID: id, Start: start}
	}
	page := archive.Page{
		Count: 7,
		Invocations: []archive.Invocation{
			at("a", hour(0)), at("b", hour(1).Add(-1)), at("c", hour(1)), at("c", hour(1)),
			at("waits", time.Time{}), at("before", hour(0).Add(-1)), at("after", hour(3)),
		},
		Rejected: []archive.Rejected{{Start: hour(2), Payload: []byte("x")}},
	}
	tally := newTally(maphash.MakeSeed(), span(0, 3))
	tally.add(&page)
	want := map[time.Time]int{hour(-1): 1, hour(0): 2, hour(1): 1, hour(2): 2, hour(3): 1}
	if got := tally.counts(); !maps.Equal(got, want) {
		t.Errorf("counts are %v, want %v", got, want)
	}
	tally.resume(archive.Walk{Seen: 3, Count: 7}, map[uint64]struct{}{})
	if got := tally.counts(); got != nil {
		t.Errorf("a walk that resumed knows counts a window: %v", got)
	}
}

// bare returns a walker that only judges.
func bare(page int) *walker {
	return &walker{run: &run{
		Archiver: &Archiver{Clock: clocktest.New(midnight.Add(30 * archive.Hour))},
		learned:  newLearned(nil), traits: archive.Traits{Page: page},
	}}
}

func TestShort(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	page := sent(9, "a b c")
	page.Invocations = append(page.Invocations, archive.Invocation{RequestID: "neighbour", Start: hour(1)})
	w := bare(500)
	a := w.judge(questionOf(span(0, 1)), tallied(seed, page), nil, true)
	if want := (&archive.ShortError{Saw: 4, Count: 9}).Error(); a.end != endShort || a.err.Error() != want {
		t.Errorf("the walk ended with %d, %v", a.end, a.err)
	}
	if got, want := w.outcome(a).Counts, map[time.Time]int{hour(0): 8}; !maps.Equal(got, want) {
		t.Errorf("the window's own count is %v, want %v: records of adjacent windows are not its own", got, want)
	}
	a = w.judge(questionOf(span(0, 1)), tallied(seed, sent(-1, "a b"), sent(-1, "c")), nil, true)
	if want := (&archive.ShortError{Saw: 3, Count: -1}).Error(); a.end != endShort || a.err.Error() != want {
		t.Errorf("the walk without a count ended with %d, %v", a.end, a.err)
	}
}

func TestPieces(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		windows int
		resumed int
		counts  []int // of pages of one element each
		want    int
	}{
		{"one window is never cut", 1, 0, []int{1_000_000}, 1},
		{"as many as it takes to cut", 24, 0, []int{cutAbove}, 1},
		{"one more", 24, 0, []int{cutAbove + 1}, 3},
		{"not more pieces than windows", 2, 0, []int{1_000_000}, 2},
		{"ten times as much, in whole hours", 24, 0, []int{10 * cutTo}, 8},
		{"only its first page cuts a span", 24, 0, []int{cutAbove, 10 * cutAbove}, 1},
		{"a walk that resumed goes on", 24, 7, []int{10 * cutAbove}, 1},
		{"no count, few seen", 24, 0, []int{-1, -1}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tally := newTally(maphash.MakeSeed(), span(0, tc.windows))
			if tc.resumed > 0 {
				tally.resume(archive.Walk{Seen: tc.resumed, Count: tc.counts[0]}, map[uint64]struct{}{})
			}
			for i, count := range tc.counts {
				page := sent(count, string(rune('a'+i)))
				tally.add(&page)
			}
			if got := max(1, len(bare(500).tooMany(questionOf(span(0, tc.windows)), tally).cut)); got != tc.want {
				t.Errorf("%d pieces, want %d", got, tc.want)
			}
		})
	}
}

// Where there is no count to go by, a span's own length tells that it is large.
func TestPiecesWithoutCount(t *testing.T) {
	t.Parallel()
	for _, count := range []int{-1, 20_000} { // none, and each page's own length
		tally := newTally(maphash.MakeSeed(), span(0, 24))
		pieces := func() int { return max(1, len(bare(20_000).tooMany(questionOf(span(0, 24)), tally).cut)) }
		for i := range 3 {
			if got := pieces(); got != 1 {
				t.Errorf("count %d: cut after %d pages into %d", count, i, got)
			}
			page := archive.Page{Count: count}
			for _, e := range many(string(rune('a'+i)), hour(i), 20_000) {
				page.Invocations = append(page.Invocations, e.Invocation)
			}
			tally.add(&page)
		}
		if got := pieces(); got != 24 {
			t.Errorf("count %d: cut into %d pieces, not into its hours", count, got)
		}
	}
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	at := func(id, status, code string) archive.Invocation {
		return archive.Invocation{RequestID: id, Status: status, ErrorCode: code}
	}
	got := archive.Distinct([]archive.Invocation{
		at("once", archive.StatusSuccess, ""),
		at("settles", archive.StatusRunning, ""), at("settles", archive.StatusFail, "1"),
		at("stays settled", archive.StatusFail, "1"), at("stays settled", archive.StatusWait, ""),
		{RequestID: "changes", Status: archive.StatusSuccess, End: hour(2)}, {RequestID: "changes", Status: archive.StatusFail, ErrorCode: "1", End: hour(1)},
		at("goes on", archive.StatusWait, ""), at("goes on", archive.StatusRunning, ""),
		at("own word", "PAUSED", ""), at("own word", archive.StatusRunning, ""),
	})
	want := []archive.Invocation{
		at("once", archive.StatusSuccess, ""), at("settles", archive.StatusFail, "1"), at("stays settled", archive.StatusFail, "1"),
		at("changes", archive.StatusSuccess, ""), at("goes on", archive.StatusRunning, ""), at("own word", "PAUSED", ""),
	}
	if len(got) != len(want) {
		t.Fatalf("%d records are left, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if got[i].RequestID != want[i].RequestID || got[i].Status != want[i].Status || got[i].ErrorCode != want[i].ErrorCode {
			t.Errorf("record %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}
