package functioncompute

import (
	"slices"
	"sync"
)

// latest is the qualifier of a function that is listed without one.
const latest = "LATEST"

// A qualifierSet holds the qualifiers (versions and aliases) with which each
// function was last listed. The source files records by qualifier. No page
// documents whether a query without a qualifier returns the records of all
// qualifiers or only of LATEST. So a function with several qualifiers is queried
// for each of them. A record that comes several times is stored once.
type qualifierSet struct {
	mu     sync.Mutex
	listed map[string][]string // by URN
}

// AsksAsListed declares that queries depend on the last list of functions, which
// has the functions' qualifiers.
func (*Source) AsksAsListed() {}

func (s *qualifierSet) set(listed map[string][]string) {
	for urn, qualifiers := range listed {
		for i := range qualifiers {
			if qualifiers[i] == "" {
				qualifiers[i] = latest
			}
		}
		slices.Sort(qualifiers)
		listed[urn] = slices.Compact(qualifiers)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = listed
}

// of returns the qualifiers to query a function with, at least one. An empty
// qualifier means a query without one.
func (s *qualifierSet) of(urn string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if qualifiers := s.listed[urn]; len(qualifiers) > 1 || len(qualifiers) == 1 && qualifiers[0] != latest {
		return qualifiers
	}
	return []string{""}
}
