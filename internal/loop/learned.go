package loop

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"archiver/internal/archive"
)

// believedAge is the age up to which a source is believed to have all records: no
// vendor's page promises less.
const believedAge = 72 * time.Hour

// learned is what the archiver has learned of a source, shared by the workers of a
// run. All methods may be called by several goroutines.
type learned struct {
	mu      sync.Mutex
	values  map[archive.Lesson]int64
	counts  map[countKey]archive.Learned
	parts   map[countKey]archive.Span    // counts that functions gave for parts of spans, in this run
	changed map[countKey]archive.Learned // not in the store yet
	kept    map[countKey]archive.Learned // in this run
}

// A countKey is a count that a function gave. For lessons about the whole source,
// function and count are 0 in changed.
type countKey struct {
	what     archive.Lesson
	function int32
	count    int64
}

func newLearned(known []archive.Learned) *learned {
	l := &learned{
		values: make(map[archive.Lesson]int64), counts: make(map[countKey]archive.Learned),
		parts: make(map[countKey]archive.Span), changed: make(map[countKey]archive.Learned),
		kept: make(map[countKey]archive.Learned),
	}
	for _, k := range known {
		if k.What == archive.LearnedCount {
			l.counts[countKey{k.What, k.Function, k.Value}] = k
		} else {
			l.values[k.What] = k.Value
		}
	}
	return l
}

// value returns what was learned, or 0.
func (l *learned) value(what archive.Lesson) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.values[what]
}

// seconds returns a lesson that is a time, or 0.
func (l *learned) seconds(what archive.Lesson) time.Duration {
	return time.Duration(l.value(what)) * time.Second
}

// set notes what was learned.
func (l *learned) set(what archive.Lesson, value int64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.values[what] != value {
		l.values[what] = value
		l.changed[countKey{what: what}] = archive.Learned{What: what, Value: value, At: at}
	}
}

// raise notes what was learned, if it is more than was known.
func (l *learned) raise(what archive.Lesson, value int64, at time.Time) {
	if l.value(what) < value {
		l.set(what, value, at)
	}
}

// proved notes that a count is right. A ceiling below it does not hold any more.
func (l *learned) proved(count int, at time.Time) {
	l.raise(archive.LearnedProven, int64(count), at)
	if c := l.value(archive.LearnedCeiling); c > 0 && c < int64(count) {
		l.set(archive.LearnedCeiling, 0, at)
	}
}

// cutsOff notes that the source cuts off at a count.
func (l *learned) cutsOff(at int, now time.Time) {
	if c := l.value(archive.LearnedCeiling); c == 0 || int64(at) < c {
		l.set(archive.LearnedCeiling, int64(at), now)
	}
	// What was proven lies below: the count was proven of another function, or earlier.
	if p := l.value(archive.LearnedProven); p > int64(at) {
		l.set(archive.LearnedProven, int64(at), now)
	}
}

// gave notes the count that a function gave for a span. It returns the earlier span for
// which the function gave the same count, if there is one.
func (l *learned) gave(function int32, count int, s archive.Span, at time.Time) (earlier archive.Learned, again bool) {
	key := countKey{archive.LearnedCount, function, int64(count)}
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.counts[key]
	if ok {
		return known, known.Span != s
	}
	l.counts[key] = archive.Learned{What: key.what, Function: function, Value: key.count, Span: s, At: at}
	l.changed[key] = l.counts[key]
	return archive.Learned{}, false
}

// gavePart notes the count that a function gave for a part of a span. It reports whether
// the function gave the same count for another span or part, and it is not proven.
func (l *learned) gavePart(function int32, count int, s archive.Span) bool {
	key := countKey{archive.LearnedCount, function, int64(count)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.counts[key]; ok && known.Span != s {
		return !known.Proven
	}
	part, ok := l.parts[key]
	l.parts[key] = s
	return ok && part != s
}

// unproven returns the counts of a function, from a count on, that are not proven, and
// forgets them.
func (l *learned) unproven(function int32, from int) (counts []archive.Learned) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, c := range l.counts {
		if key.function == function && key.count >= int64(from) && !c.Proven {
			counts = append(counts, c)
			delete(l.counts, key)
		}
	}
	return counts
}

// believe notes that a count of a function was proven.
func (l *learned) believe(function int32, count int, s archive.Span, at time.Time) {
	key := countKey{archive.LearnedCount, function, int64(count)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[key] = archive.Learned{What: key.what, Function: function, Value: key.count, Span: s, Proven: true, At: at}
	l.changed[key] = l.counts[key]
}

// age returns up to which age a window without records is believed to have had none.
func (l *learned) age() time.Duration { return max(believedAge, l.seconds(archive.LearnedAge)) }

// keep writes to the store what was learned since the last time.
func (l *learned) keep(ctx context.Context, store archive.Store, source archive.SourceID) error {
	l.mu.Lock()
	changed := slices.Collect(maps.Values(l.changed))
	maps.Copy(l.kept, l.changed)
	clear(l.changed)
	l.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	if err := store.Learn(ctx, source, changed); err != nil {
		return fmt.Errorf("keep what was learned of the source: %w", err)
	}
	return nil
}

// again learns what an earlier round of the run has learned: the store may have lost it.
func (l *learned) again(earlier *learned) {
	if earlier == nil {
		return
	}
	maps.Copy(earlier.kept, earlier.changed)
	for key, lesson := range earlier.kept {
		if l.changed[key] = lesson; key.what == archive.LearnedCount {
			l.counts[key] = lesson
		} else {
			l.values[key.what] = lesson.Value
		}
	}
}
