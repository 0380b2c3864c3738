package simulate

import (
	"iter"
	"slices"

	"archiver/internal/simulate/dataset"
)

// Truth returns a function's records as an archive should hold them by now: each
// once, in its latest state, by the Options' clock when the iteration begins. In
// messages, a NUL character or half a surrogate pair is replaced by U+FFFD.
// Records that are still late are missing; records that a walk still holds back
// are included. A function that is gone or broken by now has no records.
func (s *Server) Truth(function int) iter.Seq[dataset.Record] {
	return func(yield func(dataset.Record) bool) {
		for _, i := range s.itemsNow(function) {
			if i.unusable == 0 && !yield(s.faults.record(&i)) {
				return
			}
		}
	}
}

// Unusable returns how many records of a function cannot be stored in a row. Truth
// does not include them.
func (s *Server) Unusable(function int) (n int) {
	for _, i := range s.itemsNow(function) {
		if i.unusable != 0 {
			n++
		}
	}
	return n
}

// Vanished returns the ids of a function's records that disappeared during walks.
// Truth does not include them. An archive that read them before does.
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

func (s *Server) itemsNow(function int) []item {
	now := s.options.Now()
	if s.faults.isGone(function, now) || s.faults.broken[function] {
		return nil
	}
	sc := &s.faults.scenes[function]
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return slices.Collect(s.faults.all(sc, function, now))
}
