package loop

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
)

// For each way of paging and counting, each page is committed once,
// with the cursor after it, and the last one's commit carries the outcome.
func TestEveryPageIsCommittedOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		setup func(s *fakeSource)
		n     int
		pages int // of all walks
	}{
		{"nothing", func(*fakeSource) {}, 0, 1},
		{"one page", func(*fakeSource) {}, 7, 1},
		{"several pages", func(*fakeSource) {}, 35, 4},
		{"a page exactly full", func(*fakeSource) {}, 10, 1},
		{"an exact multiple", func(*fakeSource) {}, 30, 3},
		{"an exact multiple, an empty page after", func(s *fakeSource) { s.emptyEnd = true }, 30, 4},
		{"by token", func(s *fakeSource) { s.token = true }, 35, 4},
		{"borders exclusive", func(s *fakeSource) { s.openFrom, s.openTo = true, true }, 35, 4},
		{"the lower border exclusive", func(s *fakeSource) { s.openFrom = true }, 35, 4},
		{"no count, one page", func(s *fakeSource) { s.count = countAbsent }, 7, 1},
		{"no count, walked until two agree", func(s *fakeSource) { s.count = countAbsent }, 35, 8},
		{"own length, one page", func(s *fakeSource) { s.count = countOwnLength }, 7, 1},
		{"own length, walked until two agree", func(s *fakeSource) { s.count = countOwnLength }, 35, 8},
		{"own length, an exact multiple and an empty page", func(s *fakeSource) { s.count, s.emptyEnd = countOwnLength, true }, 30, 8},
		{"own length, by token", func(s *fakeSource) { s.count, s.token = countOwnLength, true }, 35, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10, alpha)
			tc.setup(w.source)
			w.source.records[alpha.URN] = many("r", hour(3), tc.n)
			summary := w.complete(span(3, 4))
			w.all()
			w.states(alpha, span(3, 4), archive.StateComplete)
			if got := w.db.state(alpha.URN, hour(3)).count; got != tc.n {
				t.Errorf("the source's count is noted as %d, want %d", got, tc.n)
			}
			batches := w.db.commits()
			if len(batches) != tc.pages || summary.Calls != int64(tc.pages) {
				t.Fatalf("%d commits and %d calls, want %d of each", len(batches), summary.Calls, tc.pages)
			}
			asks := w.source.asked()
			for i, b := range batches {
				if a := asks[i]; a.Span != padded(span(3, 4)) {
					t.Errorf("page %d was asked for in %s", i, a.Span)
				}
				if last := i == len(batches)-1; (b.Outcome != nil) != last {
					t.Errorf("commit %d of %d has the outcome %+v", i+1, len(batches), b.Outcome)
				} else if b.Pieces != nil {
					t.Errorf("commit %d cut the span into %v", i+1, b.Pieces)
				} else if !last && b.Walk.Cursor != asks[i+1].Cursor {
					t.Errorf("commit %d says %q comes next, %q came", i+1, b.Walk.Cursor, asks[i+1].Cursor)
				}
			}
			if int(summary.Inserted) != tc.n || summary.Complete != 1 || summary.Done != 1 {
				t.Errorf("the summary is %+v", summary.Totals)
			}
		})
	}
}

// Records in the first and in the last instant of a window and next to it are
// all kept, and counted where they belong.
func TestBorders(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", open), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, alpha)
			w.source.openFrom, w.source.openTo = open, open
			w.source.records[alpha.URN] = []element{
				settled("next", hour(4)), settled("last", hour(4).Add(-time.Millisecond)),
				settled("first", hour(3)), settled("before", hour(3).Add(-time.Millisecond)),
			}
			w.complete(span(3, 4))
			w.all()
			if got := w.db.state(alpha.URN, hour(3)).count; got != 2 {
				t.Errorf("%d records are counted into the window, want 2", got)
			}
		})
	}
}

// A walk notices records that move between two pages, and another walk finds them.
func TestDrift(t *testing.T) {
	t.Parallel()
	moves := map[string]func(s *fakeSource){
		"arrives at the top": func(s *fakeSource) { s.arrive(alpha.URN, 0, settled("new", hour(4).Add(-time.Millisecond))) },
		"arrives on a page to come": func(s *fakeSource) {
			s.arrive(alpha.URN, 25, settled("new", hour(3).Add(time.Minute)))
		},
		"vanishes from a page read":    func(s *fakeSource) { s.vanish(alpha.URN, 4) },
		"vanishes from a page to come": func(s *fakeSource) { s.vanish(alpha.URN, 30) },
		"moves up":                     func(s *fakeSource) { s.move(alpha.URN, 33, 2) },
		"moves down":                   func(s *fakeSource) { s.move(alpha.URN, 2, 33) },
	}
	for name, move := range moves {
		for page := 1; page <= 3; page++ {
			for _, token := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s after page %d, by token %v", name, page, token), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, 10, alpha)
					w.source.token = token
					w.source.records[alpha.URN] = many("r", hour(3), 35)
					before := many("r", hour(3), 35)
					w.source.after = func(a ask) {
						if a.nth == page {
							move(w.source)
						}
					}
					w.complete(span(3, 4))
					w.states(alpha, span(3, 4), archive.StateComplete)
					// What was read and has vanished since stays.
					for _, e := range w.source.records[alpha.URN] {
						if _, there := w.db.rows[e.RequestID]; !there {
							t.Errorf("%s is lost", e.RequestID)
						}
					}
					if len(w.db.rows) > len(before)+1 {
						t.Errorf("%d rows", len(w.db.rows))
					}
				})
			}
		}
	}
}

// A walk that has to be made again begins at the beginning, within the run.
func TestDriftIsWalkedAgainOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("r", hour(3), 25)
	w.source.after = func(a ask) {
		if a.nth == 1 {
			w.source.arrive(alpha.URN, 0, settled("new", hour(3).Add(59*time.Minute)))
		}
	}
	w.complete(span(3, 4))
	w.all()
	want := []archive.Cursor{"", "10", "20", "", "10", "20"}
	if got := cursors(w.source.asked()); !slices.Equal(got, want) {
		t.Errorf("pages asked for: %q, want %q", got, want)
	}
	// A crash after the first walk would make the next run walk again, too.
	if b := w.db.commits()[2]; b.Outcome != nil || b.Walk != (archive.Walk{Span: span(3, 4)}) {
		t.Errorf("the walk that drifted was left as %+v, %+v", b.Walk, b.Outcome)
	}
}

// A source that counts more than it gives makes a window short, with both
// numbers, and with the second that is short. The next run does not look for it again.
func TestShortWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("r", hour(3), 25)
	w.source.hidden["r-0007"] = true
	summary, err := w.archive(span(3, 4))
	var incomplete *archive.IncompleteError
	var short *archive.ShortError
	if !errors.As(err, &incomplete) || incomplete.Short != 1 || incomplete.Failed != 0 ||
		incomplete.First.Function != alpha || incomplete.First.Span != span(3, 4) {
		t.Fatalf("the run ended with %#v", err)
	}
	if !errors.As(incomplete.First.Err, &short) || *short != (archive.ShortError{Saw: 24, Count: 25}) {
		t.Errorf("short is %+v", short)
	}
	hidden := hour(3).Add(7 * archive.Hour / 25).Truncate(time.Second)
	want := windowRow{
		state: archive.StateShort, count: 25, err: "the source counts 25 records and gives 24",
		refusal: archive.Refusal{Smallest: archive.Span{From: hidden.Add(-time.Second), To: hidden}, Stuck: true},
	}
	got := w.db.state(alpha.URN, hour(3))
	if got.refusal.Smallest.From.Equal(hidden) {
		want.refusal.Smallest = archive.Span{From: hidden, To: hidden.Add(time.Second)}
	}
	if got != want {
		t.Errorf("the window is %+v, want %+v", got, want)
	}
	if summary.Calls > maxNarrowing || summary.Short != 1 || summary.Complete != 0 {
		t.Errorf("%d calls; %+v", summary.Calls, summary.Totals)
	}
	before := len(w.source.asked())
	if _, err := w.archive(span(3, 4)); err == nil || len(w.source.asked())-before > 2+maxWalks*3 || w.db.state(alpha.URN, hour(3)) != want {
		t.Errorf("the next run: %v, %d calls, %+v", err, len(w.source.asked())-before, w.db.state(alpha.URN, hour(3)))
	}
	if len(w.db.ids()) != 24 {
		t.Error("what was found is not kept")
	}
}

// A span that stays short is cut into its hours, and only the hour concerned
// ends short.
func TestShortHourOfALongSpan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	var list []element
	for n := 5; n >= 0; n-- {
		list = append(list, many(fmt.Sprintf("h%d", n), hour(n), 12)...)
	}
	w.source.records[alpha.URN] = list
	w.source.hidden["h3-0005"] = true
	summary, err := w.archive(span(0, 6))
	var incomplete *archive.IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Short != 1 || incomplete.First.Span != span(3, 4) {
		t.Fatalf("the run ended with %v", err)
	}
	w.states(alpha, span(0, 6), archive.StateComplete, archive.StateComplete, archive.StateComplete, archive.StateShort, archive.StateComplete, archive.StateComplete)
	if summary.Done != 6 || summary.Windows != 6 || summary.Complete != 5 {
		t.Errorf("the summary is %+v", summary.Totals)
	}
	if got := w.db.state(alpha.URN, hour(3)).count; got != 12 {
		t.Errorf("the source counts %d in the short window, want 12", got)
	}
}

// No count and something else at every walk, in one second: short without a number.
func TestShortWithoutCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.count = countAbsent
	for i := range 15 { // in one second, which cannot be asked for in parts
		w.source.records[alpha.URN] = append(w.source.records[alpha.URN], settled(fmt.Sprint(i), hour(3).Add(time.Minute)))
	}
	w.source.after = func(a ask) {
		if a.Cursor != "" {
			w.source.arrive(alpha.URN, 0, settled(fmt.Sprintf("new-%d", a.nth), hour(3).Add(time.Minute)))
		}
	}
	_, err := w.archive(span(3, 4))
	var incomplete *archive.IncompleteError
	var short *archive.ShortError
	if !errors.As(err, &incomplete) || !errors.As(incomplete.First.Err, &short) || short.Count != -1 {
		t.Fatalf("the run ended with %v", err)
	}
	w.states(alpha, span(3, 4), archive.StateShort)
	if got := w.db.state(alpha.URN, hour(3)).count; got != -1 {
		t.Errorf("a count of %d is noted of a source that gives none", got)
	}
}

// A walk is never longer in doubt than maxWalks: it may agree at the last.
func TestAgreesAtTheLastWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("r", hour(3), 15)
	walks := 0
	w.source.after = func(a ask) {
		if a.Cursor == "" {
			if walks++; walks < maxWalks {
				w.source.arrive(alpha.URN, 0, settled(fmt.Sprintf("new-%d", walks), hour(3).Add(time.Minute)))
			}
		}
	}
	w.complete(span(3, 4))
	w.all()
	if walks != maxWalks {
		t.Errorf("%d walks, want %d", walks, maxWalks)
	}
}

// A span with a large count is cut after its first page, which is kept.
func TestLargeSpanIsCut(t *testing.T) {
	t.Parallel()
	const perHour = 12_000
	w := newWorld(t, 2000, alpha)
	for n := 3; n >= 0; n-- {
		w.source.records[alpha.URN] = append(w.source.records[alpha.URN], many(fmt.Sprintf("h%d", n), hour(n), perHour)...)
	}
	summary := w.complete(span(0, 4))
	w.all()
	w.states(alpha, span(0, 4), archive.StateComplete)
	batches := w.db.commits()
	pieces := []archive.Span{span(0, 2), span(2, 4)}
	if first := batches[0]; !slices.Equal(first.Pieces, pieces) || first.Outcome != nil || first.Walk.Span != span(0, 4) {
		t.Errorf("the first commit was %+v, %+v, %v", first.Walk, first.Outcome, first.Pieces)
	}
	var ended []archive.Span
	for _, b := range batches[1:] {
		if b.Outcome != nil {
			ended = append(ended, b.Walk.Span)
		}
	}
	if !slices.Equal(ended, []archive.Span{span(2, 4), span(0, 2)}) { // the newest first
		t.Errorf("the walks that ended were %v, want %v", ended, pieces)
	}
	// A piece's padding reaches into its neighbour: a page more at most.
	if summary.Calls > 1+2*13 {
		t.Errorf("%d calls for %d pages", summary.Calls, 24)
	}
	if len(w.db.walks[1]) != 0 {
		t.Errorf("walks are left open: %v", w.db.walks[1])
	}
}

// A list that ends without a last page is no list. The question is asked in parts that
// have one page.
func TestListWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("r", hour(3), 25)
	a := w.archiver()
	a.Source = endless{w.source}
	if _, err := a.Archive(t.Context(), archive.Order{Range: span(3, 4)}, new(archive.Progress)); err != nil {
		t.Fatalf("the run ended with %v", err)
	}
	w.all()
	w.states(alpha, span(3, 4), archive.StateComplete)
}
