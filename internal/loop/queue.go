package loop

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"time"

	"archiver/internal/archive"
)

// A turn is a function that waits for a worker, or is worked on.
type turn struct {
	archive.Due                // Windows and Oldest are of the windows that remain
	walks       []archive.Walk // still to make, while a worker has the function
	cut         bool           // the last walk was cut: the first of walks are its pieces
	stuck       bool           // all that remains has failed in earlier runs
	again       bool           // the walks read complete windows again
}

// A queue hands out functions, those with the oldest windows first: the source
// deletes these first. Functions of which only failed windows remain come last. The order
// depends only on what is due, so that the run after a crash goes on with the same
// functions.
type queue struct {
	mu    sync.Mutex
	turns turns
}

func newQueue(due []archive.Due) *queue {
	q := &queue{}
	for _, d := range due {
		q.push(turn{Due: d})
	}
	return q
}

func (q *queue) push(t turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	heap.Push(&q.turns, t)
}

// pop takes the next function out, or returns false if no function waits. A worker
// that gets false may end: another worker that puts a function back takes the next
// function itself.
func (q *queue) pop() (t turn, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		return t, false
	}
	return heap.Pop(&q.turns).(turn), true
}

// len returns how many functions wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.turns)
}

// before reports whether a function waits that comes before a function with windows
// from this hour on.
func (q *queue) before(hour time.Time, stuck bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		return false
	}
	first := q.turns[0]
	return !first.stuck && stuck || first.stuck == stuck && first.Oldest.Before(hour)
}

// turns implements heap.Interface.
type turns []turn

func (t turns) Len() int      { return len(t) }
func (t turns) Swap(i, j int) { t[i], t[j] = t[j], t[i] }

func (t turns) Less(i, j int) bool {
	a, b := &t[i], &t[j]
	if a.stuck != b.stuck {
		return b.stuck
	}
	return cmp.Or(a.Oldest.Compare(b.Oldest), cmp.Compare(b.Windows, a.Windows), cmp.Compare(a.ID, b.ID)) < 0
}

// Push is called by package heap only.
func (t *turns) Push(x any) { *t = append(*t, x.(turn)) }

// Pop is called by package heap only.
func (t *turns) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = slices.Delete(*t, last, last+1)
	return x
}
