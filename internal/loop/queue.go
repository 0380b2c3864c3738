package loop

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"time"

	"archiver/internal/archive"
)

// A turn is a function that waits for a worker, with the windows that it has left.
type turn struct {
	archive.Due
	begun    time.Time      // windows before this have been decided in this run; zero for none
	walks    []archive.Walk // to be made, while it is worked on
	reread   archive.Span   // complete windows that the first of them reads again
	cut      bool           // the last one was cut: its pieces are the next ones
	failures int            // walks that have failed in a row
}

// A queue hands out functions, those with the oldest windows first: the source
// forgets these first. The order depends only on what is due, so that the run
// after a crash goes on with the same functions.
type queue struct {
	mu    sync.Mutex
	turns turns
}

func newQueue(due []archive.Due, begun map[int32]time.Time) *queue {
	q := &queue{}
	for _, d := range due {
		q.push(turn{Due: d, begun: begun[d.ID]})
	}
	return q
}

func (q *queue) push(t turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	heap.Push(&q.turns, t)
}

// pop is the next function. A queue that is empty stays so: a function comes
// back only by the worker that then takes the one before it.
func (q *queue) pop() (t turn, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		return t, false
	}
	return heap.Pop(&q.turns).(turn), true
}

// len is how many functions wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.turns)
}

// older reports whether a function waits that has older windows than this.
func (q *queue) older(than time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.turns) > 0 && q.turns[0].Oldest.Before(than)
}

// turns are a heap.
type turns []turn

func (t turns) Len() int      { return len(t) }
func (t turns) Swap(i, j int) { t[i], t[j] = t[j], t[i] }

func (t turns) Less(i, j int) bool {
	a, b := &t[i], &t[j]
	return cmp.Or(a.Oldest.Compare(b.Oldest), cmp.Compare(b.Windows, a.Windows), cmp.Compare(a.ID, b.ID)) < 0
}

// Push and Pop are for the heap alone.
func (t *turns) Push(x any) { *t = append(*t, x.(turn)) }

// Pop takes the last.
func (t *turns) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = slices.Delete(*t, last, last+1)
	return x
}
