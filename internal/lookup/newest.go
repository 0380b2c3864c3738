package lookup

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"archiver/internal/archive"
)

// placed is a record with its place in time.
type placed struct {
	archive.Invocation
	at time.Time
}

// newer orders records, newest first, and those of one time by their ids.
func newer(a, b placed) int {
	return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.RequestID, b.RequestID))
}

// newest keeps the newest of many records.
type newest struct {
	most int
	kept []placed // a heap, the oldest on top
}

// add takes in a record, and reports whether one had to be dropped for it.
func (n *newest) add(p placed) (dropped bool) {
	switch {
	case len(n.kept) < n.most:
		heap.Push(n, p)
		return false
	case newer(p, n.kept[0]) < 0:
		n.kept[0] = p
		heap.Fix(n, 0)
	}
	return true
}

func (n *newest) sorted() []archive.Invocation {
	slices.SortFunc(n.kept, newer)
	list := make([]archive.Invocation, len(n.kept))
	for i := range n.kept {
		list[i] = n.kept[i].Invocation
	}
	return list
}

// Len, Less, Swap, Push and Pop are what a heap asks for.
func (n *newest) Len() int { return len(n.kept) }

// Less has the oldest on top.
func (n *newest) Less(i, j int) bool { return newer(n.kept[i], n.kept[j]) > 0 }

// Swap changes two places.
func (n *newest) Swap(i, j int) { n.kept[i], n.kept[j] = n.kept[j], n.kept[i] }

// Push appends one.
func (n *newest) Push(p any) { n.kept = append(n.kept, p.(placed)) }

// Pop takes the last one away.
func (n *newest) Pop() any {
	last := n.kept[len(n.kept)-1]
	n.kept = n.kept[:len(n.kept)-1]
	return last
}
