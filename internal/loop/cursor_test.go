package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"archiver/internal/archive"
)

// refuses makes the source refuse a cursor as one that has run out.
func (w *world) refuses(cursor archive.Cursor, times int) {
	w.source.before = func(_ context.Context, a ask) error {
		if a.Cursor == cursor && times != 0 {
			times--
			return fmt.Errorf("%w: answered 400 InvalidArgument", archive.ErrCursor)
		}
		return nil
	}
}

// If the source does not accept a cursor any more, of an earlier run or of this one, the
// walk begins again. Without a count, the unfinished walk is not one of the two that
// agree.
func TestCursorThatRanOut(t *testing.T) {
	t.Parallel()
	for _, count := range []int{countRight, countAbsent} {
		w := newWorld(t, 10, alpha)
		w.source.count = count
		w.source.records[alpha.URN] = many("a", hour(3), 25)
		w.dieAfter(1)
		if _, err := w.archive(span(3, 4)); !errors.Is(err, errDead) {
			t.Fatalf("the run that died ended with %v", err)
		}
		w.refuses("10", 1)
		before := len(w.source.asked())
		w.restart()
		w.complete(span(3, 4))
		w.all()
		walk := []archive.Cursor{"", "10", "20"}
		want := append([]archive.Cursor{"10"}, walk...)
		if count == countAbsent {
			want = append(want, walk...)
		}
		if got := cursors(w.source.asked()[before:]); !slices.Equal(got, want) {
			t.Errorf("count %d: pages asked for: %q, want %q", count, got, want)
		}
	}

	w := newWorld(t, 10, alpha)
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	w.refuses("20", 1)
	w.complete(span(3, 4))
	w.all()
	if want := []archive.Cursor{"", "10", "20", "", "10", "20"}; !slices.Equal(cursors(w.source.asked()), want) {
		t.Errorf("pages asked for: %q", cursors(w.source.asked()))
	}
}

// A source that never goes on from its cursors is not asked for ever: its lists are read
// in parts that have one page.
func TestCursorThatNeverHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, alpha)
	w.source.token = true
	w.source.records[alpha.URN] = many("a", hour(3), 25)
	w.refuses("10", -1)
	w.complete(span(3, 4))
	w.all()
	if n := len(w.source.asked()); n > 30 {
		t.Errorf("%d pages asked for", n)
	}
}
