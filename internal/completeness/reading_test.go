package completeness

import (
	"fmt"
	"math/rand/v2"
)

// By which time the service filters records, the order of its lists, and what happens
// between two pages.
const (
	byStart = iota
	byCreation
)

const (
	newestFirst = iota
	oldestFirst
	byID
)

const (
	still = iota
	arriving
	vanishing
	moving
)

// The shapes of next_marker and count.
const (
	markerInteger = iota
	markerString
	markerAbsent
	markerZeroAtEnd
	markerTotalAtEnd
	markerAgainAtEnd
	markers
)

const (
	countRight = iota
	countAbsent
	countNull
	countOwnLength
	countings
)

// absentTimes are what a service may write where a record has no start or no end. nil
// leaves the member out.
var absentTimes = []any{
	nil, nil, "", "0001-01-01T00:00:00", "1970-01-01T00:00:00", "1970-01-01T00:00:00Z", "0000-00-00T00:00:00", "9999-12-31T23:59:59",
}

// successes are what a service may add to an answer without an error.
var successes = []map[string]any{
	nil, nil, {"error_code": 0, "error_msg": ""}, {"error_code": "", "error_msg": ""}, {"code": "0", "message": "success"}, {"error_code": nil},
}

// A reading is one choice for everything that the vendor's documentation leaves open,
// with the faults of one history.
type reading struct {
	filter, order, drift int
	leftOpen, rightOpen  bool
	marker, count        int
	absent               int  // index of absentTimes
	success              int  // index of successes
	emptyWithoutList     bool // an answer with count 0 has no list
	page                 int  // elements asked for
	concurrency          int  // calls under way at once, calls for pages before their turn included
	capped               bool // a page has half as many as asked for
	inFlight             bool
	faults               float64 // share of calls
	crashes              bool
}

func draw(random *rand.Rand) reading {
	r := reading{
		filter: random.IntN(2), order: random.IntN(3), drift: random.IntN(4),
		leftOpen: random.IntN(2) == 0, rightOpen: random.IntN(2) == 0,
		marker: random.IntN(markers), count: random.IntN(countings),
		absent: random.IntN(len(absentTimes)), success: random.IntN(len(successes)), emptyWithoutList: random.IntN(4) == 0,
		page: 2 + random.IntN(11), concurrency: 1 + random.IntN(4),
		inFlight: random.IntN(2) == 0, crashes: random.IntN(3) == 0,
	}
	if random.IntN(3) == 0 {
		r.faults = 0.2 * random.Float64()
	}
	// A service that gives fewer than it was asked for must show that in its
	// count, else its page cannot be told from the last one.
	r.capped = r.count == countRight && random.IntN(3) == 0
	return r
}

func (r reading) String() string {
	type plain reading // without this method
	return fmt.Sprintf("%+v", plain(r))
}
