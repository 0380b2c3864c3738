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
	decidedTo   time.Time      // this run has decided the windows before this hour; zero for none
	walks       []archive.Walk // still to make, while a worker has the function
	cut         bool           // the last walk was cut: the first of walks are its pieces
	failures    int            // walks that have failed in a row
}

// A queue hands out functions, those with the oldest windows first: the source
// deletes these first. The order depends only on what is due, so that the run
// after a crash goes on with the same functions.
type queue struct {
	mu    sync.Mutex
	turns turns
}

func newQueue(due []archive.Due, decidedTo map[int32]time.Time) *queue {
	q := &queue{}
	for _, d := range due {
		q.push(turn{Due: d, decidedTo: decidedTo[d.ID]})
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

// older reports whether a function waits that has windows older than this hour.
func (q *queue) older(than time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.turns) > 0 && q.turns[0].Oldest.Before(than)
}

// turns implements heap.Interface.
type turns []turn

func (t turns) Len() int      { return len(t) }
func (t turns) Swap(i, j int) { t[i], t[j] = t[j], t[i] }

func (t turns) Less(i, j int) bool {
	a, b := &t[i], &t[j]
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
