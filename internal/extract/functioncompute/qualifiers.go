package functioncompute

import (
	"slices"
	"sync"
	"sync/atomic"
)

// latest is the qualifier of the version that a function has without publishing one.
const latest = "LATEST"

// A qualifierSet holds the qualifiers (versions and aliases) with which each function was
// last listed. The qualifier of a query is a filter (page: ListStatefulAsyncInvocations,
// qualifier), and a record may be filed under a version that no list names any more. So
// each function is queried without a qualifier. Whether that query gives the records of
// all qualifiers or only of LATEST is on no page. So each other qualifier is queried
// too, until a query without a qualifier has given a record of another than LATEST. A
// record that comes several times is stored once.
type qualifierSet struct {
	mu     sync.Mutex
	listed map[string][]string // by URN

	unfiltered atomic.Bool // a query without a qualifier gives the records of all
}

// AsksAsListed declares that queries depend on the last list of functions, which
// has the functions' qualifiers.
func (*Source) AsksAsListed() {}

func (s *qualifierSet) set(listed map[string][]string) {
	for urn, qualifiers := range listed {
		qualifiers = slices.DeleteFunc(qualifiers, func(q string) bool { return q == "" || q == latest })
		slices.Sort(qualifiers)
		listed[urn] = slices.Compact(qualifiers)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = listed
}

// of returns the qualifiers to query a function with. The first is empty: a query
// without a qualifier.
func (s *qualifierSet) of(urn string) []string {
	if s.unfiltered.Load() {
		return []string{""}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{""}, s.listed[urn]...)
}
