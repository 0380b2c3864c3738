package loop

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"archiver/internal/archive"
)

// dieAfter kills the process once it has kept n pages.
func (w *world) dieAfter(n int) {
	store := w.store
	store.after = func(_ context.Context, op string, nth int) error {
		if op == opCommit && nth == n {
			store.die()
			return errDead
		}
		return nil
	}
}

// A walk left open goes on at the page after its cursor, for each
// source's way of paging, and no page before it is asked for.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, token := range []bool{false, true} {
		for kept := 1; kept <= 3; kept++ {
			w := newWorld(t, 10, alpha)
			w.source.token = token
			w.source.records[alpha.URN] = many("a", hour(3), 35)
			w.dieAfter(kept)
			if _, err := w.archive(span(2, 5)); !errors.Is(err, errDead) {
				t.Fatalf("the run that died ended with %v", err)
			}
			open := w.db.walks[1][hour(2)]
			if open.Seen != kept*10 || open.Span != span(2, 5) {
				t.Fatalf("the walk is left as %+v", open)
			}
			before := len(w.source.asked())
			w.restart()
			w.complete(span(2, 5))
			w.all()
			w.states(alpha, span(2, 5), archive.StateComplete)
			asks := w.source.asked()[before:]
			if len(asks) != 4-kept || asks[0].Cursor != open.Cursor || asks[0].Span != padded(span(2, 5)) {
				t.Errorf("after %d pages, these were asked for: %+v", kept, asks)
			}
			// What a resumed walk does not know by the window is not made up.
			if got := w.db.state(alpha.URN, hour(3)).count; got != -1 {
				t.Errorf("%d records are said to be counted in a window", got)
			}
		}
	}
}

// A walk that resumes where the archive has more than its pages, from a walk
// before it, cannot tell what it saw, and is made again from the beginning.
func TestResumeOfASecondWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	w.source.after = func(a ask) {
		if a.nth == 1 {
			w.source.move(alpha.URN, 22, 2)
		}
	}
	w.dieAfter(4) // three pages that drifted, and one of the second walk
	if _, err := w.archive(span(3, 4)); !errors.Is(err, errDead) {
		t.Fatalf("the run that died ended with %v", err)
	}
	before := len(w.source.asked())
	w.restart()
	w.complete(span(3, 4))
	w.all()
	want := []archive.Cursor{"10", "20", "", "10", "20"}
	if got := cursors(w.source.asked()[before:]); !slices.Equal(got, want) {
		t.Errorf("pages asked for: %q, want %q", got, want)
	}
}

// Without a count, a walk that resumed is never one of the two that agree.
func TestResumeWithoutCount(t *testing.T) {
	t.Parallel()
	for _, count := range []int{countAbsent, countOwnLength} {
		w := newWorld(t, 10, alpha)
		w.source.count = count
		w.source.records[alpha.URN] = many("a", hour(3), 25)
		w.dieAfter(1)
		if _, err := w.archive(span(3, 4)); !errors.Is(err, errDead) {
			t.Fatalf("the run that died ended with %v", err)
		}
		before := len(w.source.asked())
		w.restart()
		w.complete(span(3, 4))
		w.all()
		want := []archive.Cursor{"10", "20", "", "10", "20", "", "10", "20"}
		if got := cursors(w.source.asked()[before:]); !slices.Equal(got, want) {
			t.Errorf("pages asked for: %q, want %q", got, want)
		}
	}
}

// A walk that resumes notices records that came or went before the crash or after it. A
// window is complete only if the archive has each record of the source.
func TestResumeAfterDrift(t *testing.T) {
	t.Parallel()
	vanish := func(w *world) { w.source.vanish(alpha.URN, 4) }
	arrive := func(w *world) { w.source.arrive(alpha.URN, 0, settled("new", hour(4).Add(-time.Second))) }
	for _, tc := range []struct {
		name   string
		border func(e *element) // the last record of the first page
		early  func(w *world)   // after the first page
		late   func(w *world)   // after the crash
		pages  int              // kept before it
	}{
		{name: "one arrived in between", late: arrive, pages: 1},
		{name: "one vanished in between from a page kept", late: vanish, pages: 1},
		{name: "one vanished from a page kept, before the crash", early: vanish, pages: 2},
		{name: "one arrived before the crash", early: arrive, pages: 2},
		{name: "one vanished in between and another arrived before the crash", early: arrive, late: vanish, pages: 2},
		{
			// It comes again on the second page, and the archive has no id of it.
			name: "one arrived in between, what came again is unusable", late: arrive, pages: 1,
			border: func(e *element) { e.RequestID, e.payload = "", "{}" },
		},
		{
			// It is found by another time than its start.
			name: "one arrived in between, what came again began long ago", late: arrive, pages: 1,
			border: func(e *element) { e.Start = hour(-20) },
		},
	} {
		for _, token := range []bool{false, true} {
			name := tc.name + ", by offset"
			if token {
				name = tc.name + ", by token"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 10, alpha)
				w.source.token = token
				w.source.records[alpha.URN] = many("a", hour(3), 35)
				if tc.border != nil {
					tc.border(&w.source.records[alpha.URN][9])
				}
				w.source.after = func(a ask) {
					if a.nth == 1 && tc.early != nil {
						tc.early(w)
					}
				}
				w.dieAfter(tc.pages)
				if _, err := w.archive(span(3, 4)); !errors.Is(err, errDead) {
					t.Fatalf("the run that died ended with %v", err)
				}
				if tc.late != nil {
					tc.late(w)
				}
				w.restart()
				w.complete(span(3, 4))
				for _, e := range w.source.records[alpha.URN] {
					if _, there := w.db.rows[e.RequestID]; !there && e.payload == "" {
						t.Errorf("the window is complete, and %s is not kept", e.RequestID)
					}
				}
			})
		}
	}
}
