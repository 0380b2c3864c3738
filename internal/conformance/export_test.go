package conformance

import (
	"maps"
	"slices"
)

// Parts returns the names of the suite's parts.
func (s *Suite) Parts() []string {
	return append(slices.Sorted(maps.Keys(s.parts())), "cancelling")
}
