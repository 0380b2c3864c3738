package simulate

import (
	"iter"
	"slices"

	"archiver/internal/simulate/dataset"
)

// Truth returns a function's records as the source would give them now, by the
// Options' clock and as the iteration begins: each once, in its latest state and
// as it is to be archived, a NUL character or half a surrogate pair in a message
// being U+FFFD. What is held back until it is late is not there yet; what
// arrives in the course of a walk that is under way is. A function that is gone
// or broken by now gives nothing.
func (s *Server) Truth(function int) iter.Seq[dataset.Record] {
	return func(yield func(dataset.Record) bool) {
		for _, i := range s.now(function) {
			if i.unusable == 0 && !yield(s.faults.record(&i)) {
				return
			}
		}
	}
}

// Unusable returns how many records of a function no row can hold, beside those
// of Truth.
func (s *Server) Unusable(function int) (n int) {
	for _, i := range s.now(function) {
		if i.unusable != 0 {
			n++
		}
	}
	return n
}

// Vanished returns the ids of a function's records that disappeared while it was
// walked. Truth does not have them; an archive that saw them in time does.
func (s *Server) Vanished(function int) []string {
	sc := &s.faults.scenes[function]
	sc.mu.Lock()
	defer sc.mu.Unlock()
	ids := make([]string, 0, len(sc.vanished))
	for p := range sc.vanished {
		ids = append(ids, s.data.RequestID(p))
	}
	return ids
}

// now returns all that a function has by now.
func (s *Server) now(function int) []item {
	now := s.options.Now()
	if s.faults.isGone(function, now) || s.faults.isBroken(function) {
		return nil
	}
	sc := &s.faults.scenes[function]
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return slices.Collect(s.faults.all(sc, function, now))
}
