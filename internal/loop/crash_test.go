package loop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"archiver/internal/archive"
)

// A process may die at any moment: whichever it is, the next one ends with the
// rows and the windows of a run that nothing disturbed, asks for no window that
// was complete, and goes on in each walk at the page after the last one kept.
func TestCrashAnywhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		setup func(s *fakeSource)
		again bool // walks are made again, where nothing moves as well
	}{
		{"count right", func(*fakeSource) {}, false},
		{"by token", func(s *fakeSource) { s.token = true }, false},
		{"an empty page at the end", func(s *fakeSource) { s.emptyEnd = true }, false},
		{"asked for ahead", func(s *fakeSource) { s.ahead, s.together = true, true }, false},
		{"no count", func(s *fakeSource) { s.count = countAbsent }, true},
		{"own length", func(s *fakeSource) { s.count = countOwnLength }, true},
		{"short, cut into hours", func(s *fakeSource) { s.hidden["a4-0002"] = true }, true},
	} {
		for _, persisted := range []bool{false, true} {
			for _, commits := range []bool{true, false} {
				name := fmt.Sprintf("%s, persisted %v, at every commit %v", tc.name, persisted, commits)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					c := crash{setup: tc.setup, again: tc.again, persisted: persisted, commits: commits}
					undisturbed := c.world(t)
					c.run(undisturbed)
					n := 1
					for ; c.at(t, n, undisturbed.db); n++ {
						if t.Failed() {
							t.Fatalf("dead at %d", n)
						}
					}
					if n < 5 { // pages may be kept together
						t.Errorf("only %d moments to die at", n-1)
					}
				})
			}
		}
	}
}

// A crash is a way to die.
type crash struct {
	setup     func(s *fakeSource)
	again     bool
	persisted bool // what it died at is kept
	commits   bool // only commits are counted, not every operation
}

func (c *crash) world(t *testing.T) *world {
	w := newWorld(t, 3, alpha, beta, gamma)
	var a []element
	for _, n := range []int{7, 5, 4, 3, 0} {
		a = append(a, many(fmt.Sprintf("a%d", n), hour(n), 4)...)
	}
	w.source.records[alpha.URN] = append(a, unusable("{}", hour(0)))
	w.source.records[beta.URN] = many("b", hour(2), 9)
	w.source.records[gamma.URN] = many("c", hour(6), 1)
	c.setup(w.source)
	return w
}

// run makes one pass. A window that is short is no reason to fail here.
func (c *crash) run(w *world) {
	w.t.Helper()
	_, err := w.archive(span(0, 8))
	if incomplete := (*archive.IncompleteError)(nil); err != nil && !errors.As(err, &incomplete) {
		w.t.Fatal(err)
	}
}

// at dies at the nth moment, and lets another process finish. It is false
// where the run came to its end before.
func (c *crash) at(t *testing.T, n int, undisturbed *database) bool {
	w := c.world(t)
	store := w.store
	var mu sync.Mutex
	passed := 0
	die := func(_ context.Context, op string, _ int) error {
		if c.commits && op != opCommit {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if passed++; passed < n {
			return nil
		}
		store.die()
		return errDead
	}
	if c.persisted {
		store.after = die
	} else {
		store.before = die
	}
	_, err := w.archive(span(0, 8))
	if !store.isDead() {
		return false
	}
	if err == nil {
		t.Error("a run whose store has died ended as if all were well")
	}
	walks, windows := w.db.snapshot()
	before := len(w.source.asked())
	w.restart()
	c.run(w)

	w.db.same(undisturbed)
	first := make(map[string]bool)
	for _, a := range w.source.asked()[before:] {
		s := archive.Span{From: a.Span.From.Add(archive.QueryMargin), To: a.Span.To.Add(-archive.QueryMargin)}
		for h := s.From; h.Before(s.To); h = h.Add(archive.Hour) {
			if windows[a.URN][h].state == archive.StateComplete {
				t.Errorf("%s: %s was complete, and asked for again in %s", a.URN, h.Format("15h"), s)
			}
		}
		open, there := walks[a.URN][s.From]
		if !there || open.Span != s {
			continue
		}
		if key := a.URN + s.String(); !first[key] {
			first[key] = true
			if a.Cursor != open.Cursor {
				t.Errorf("%s %s: resumed at %q, not at %q", a.URN, s, a.Cursor, open.Cursor)
			}
		} else if !c.again && offset(a.Cursor) < offset(open.Cursor) {
			t.Errorf("%s %s: %q was asked for again, kept up to %q", a.URN, s, a.Cursor, open.Cursor)
		}
	}
	return true
}

// offset is how far into a list a cursor is.
func offset(c archive.Cursor) int {
	number, _, _ := strings.Cut(string(c), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}

// snapshot is what a database knows, a function.
func (db *database) snapshot() (walks map[string]map[time.Time]archive.Walk, windows map[string]map[time.Time]windowRow) {
	db.mu.Lock()
	defer db.mu.Unlock()
	walks, windows = make(map[string]map[time.Time]archive.Walk), make(map[string]map[time.Time]windowRow)
	for _, f := range db.functions {
		walks[f.URN], windows[f.URN] = maps.Clone(db.walks[f.ID]), maps.Clone(db.windows[f.ID])
	}
	return walks, windows
}

// same insists that two databases hold the same.
func (db *database) same(want *database) {
	db.t.Helper()
	if len(db.rows) != len(want.rows) {
		db.t.Errorf("%d rows, want %d", len(db.rows), len(want.rows))
	}
	for id, row := range want.rows {
		if got := db.rows[id]; got.function == 0 || got.Status != row.Status || !got.Start.Equal(row.Start) || !got.End.Equal(row.End) {
			db.t.Errorf("the row of %s is %+v, want %+v", id, got, row)
		}
	}
	if len(db.rejected) != len(want.rejected) {
		db.t.Errorf("%d elements rejected, want %d", len(db.rejected), len(want.rejected))
	}
	for id, windows := range want.windows {
		for h, window := range windows {
			got := db.windows[id][h]
			if got.state != window.state || got.err != window.err && window.state != archive.StateShort {
				db.t.Errorf("function %d: window %s is %+v, want %+v", id, h.Format("15h"), got, window)
			}
			if got.count != window.count && got.count != -1 {
				db.t.Errorf("function %d: window %s has the count %d, want %d", id, h.Format("15h"), got.count, window.count)
			}
		}
		if len(db.walks[id]) != 0 {
			db.t.Errorf("function %d: walks are left open: %v", id, db.walks[id])
		}
	}
}
