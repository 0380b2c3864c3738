package completeness

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"archiver/internal/archive"
)

// What a service answers if it refuses a question for good.
const (
	refusesRequest   = iota // 400
	failsInside             // 500
	failsInGateway          // 504
	neverAnswers            // the call times out
	failsInEnvelope         // an error in a 200
	failsInEmptyList        // an error in a 200, next to an empty list
	refusals
)

// What a service gives beyond its ceiling.
const (
	beyondNothing = iota
	beyondRefused // 400 for a page that begins there
	beyondCrossed // 400 for a page that ends there
	beyonds
)

// limits are what a service does not answer, or does not give.
type limits struct {
	length   time.Duration // of the history before the first run
	lookback bool          // runs ask for what the source is believed to keep, and not for all of the history

	ceiling int  // most records of one list; 0 for none
	beyond  int  // what comes beyond the ceiling
	clipped bool // the count is at most the ceiling
	alone   bool // only the first function has the ceiling

	widest   time.Duration // range of a question; 0 for any
	widestAs int

	retention  time.Duration // 0 for ever
	refusesOld bool          // a begin before the retention is refused; if false, the list has no such records
	believed   time.Duration // the retention that the archiver is told

	size   int // most kilobytes of a page; 0 for any
	sizeAs int

	poisonSeconds int // how many seconds no question may cover
	poisonAs      int
	poisonRecords int // how many records no page may hold

	functions int
	records   int // most of a function before the first run
	list      listing
}

// A listing says how the list of functions is cut off.
type listing struct {
	most     int  // functions of a list; 0 for all
	counted  bool // the list has a count of all functions
	shuffled bool // each list has its own order
	until    int  // pass in which the list is whole again
}

// unlimited are the limits of a service that answers all, as the documentation promises.
func unlimited() limits {
	return limits{length: 6 * archive.Hour, believed: 30 * 24 * time.Hour, functions: 1, records: 40}
}

func drawLimits(random *rand.Rand, r *reading) limits {
	l := unlimited()
	if random.IntN(2) == 0 {
		return l
	}
	one := func(of int) bool { return random.IntN(of) == 0 }
	if one(2) {
		l.functions = 2 + random.IntN(3)
	}
	if one(4) {
		l.records = 150
	}
	if one(3) {
		l.ceiling, l.beyond, l.clipped = r.page+random.IntN([]int{3*r.page + 1, 100}[random.IntN(2)]), random.IntN(beyonds), one(2)
		l.records = 150
		// A ceiling below what another function has proven is silent, if it is met once.
		l.alone = l.functions > 1 && r.count == countRight && !l.clipped && one(2)
	}
	if one(3) {
		widths := []time.Duration{0, 2 * time.Second, time.Hour, 11 * time.Hour, 23 * time.Hour, 24*time.Hour + 2*time.Second}
		if r.inFlight {
			widths = widths[3:] // a record in flight is looked for in all days since it began
		}
		l.widest = archive.Hour + widths[random.IntN(len(widths))]
		l.widestAs = []int{refusesRequest, failsInGateway}[random.IntN(2)]
		l.length += time.Duration(random.IntN(4*24)) * archive.Hour
	}
	if one(4) {
		l.retention, l.refusesOld = 3*24*time.Hour+time.Duration(random.IntN(5*24*3600))*time.Second, one(2)
		l.length = l.retention.Truncate(archive.Hour) + time.Duration(random.IntN(4*24)-24)*archive.Hour
		l.believed = []time.Duration{l.retention, 30 * 24 * time.Hour, l.retention + 24*time.Hour, l.retention - 12*time.Hour}[random.IntN(4)]
		l.lookback = one(2)
	}
	if one(4) {
		if r.count == countRight {
			l.records = 150
		}
		l.size, l.sizeAs = maxSize+random.IntN(maxSize*r.page), []int{failsInside, neverAnswers, failsInGateway}[random.IntN(3)]
	}
	if one(4) {
		l.poisonSeconds, l.poisonAs = 1+random.IntN(3), random.IntN(refusals)
	}
	if one(6) {
		l.poisonRecords = 1 + random.IntN(2)
	}
	if l.functions > 1 && one(3) {
		l.list = listing{most: 1 + random.IntN(l.functions-1), counted: one(2), until: []int{2, never}[random.IntN(2)]}
		l.list.shuffled = !l.list.counted || one(2)
	}
	l.restrict(r)
	return l
}

// restrict takes out of the reading what no answer of the API can show together with
// these limits. See Limits in docs/completeness.md.
func (l *limits) restrict(r *reading) {
	if l.poisonRecords > 0 && r.drift == moving {
		r.drift = still
	}
	if l.retention == 0 {
		return
	}
	// A record that moves, or that arrives late in an hour that cannot be compared again,
	// may be forgotten before any question finds it.
	if r.drift == moving || l.poisonSeconds+l.poisonRecords+l.ceiling > 0 {
		r.drift = still
	}
}

// String names the limits that there are.
func (l limits) String() string {
	text := fmt.Sprintf("{length:%s lookback:%t believed:%s functions:%d records:%d", l.length, l.lookback, l.believed, l.functions, l.records)
	for _, part := range []struct {
		there bool
		text  string
	}{
		{l.ceiling > 0, fmt.Sprintf("ceiling:%d beyond:%d clipped:%t alone:%t", l.ceiling, l.beyond, l.clipped, l.alone)},
		{l.widest > 0, fmt.Sprintf("widest:%s as:%d", l.widest, l.widestAs)},
		{l.retention > 0, fmt.Sprintf("retention:%s refused:%t", l.retention, l.refusesOld)},
		{l.size > 0, fmt.Sprintf("size:%d as:%d", l.size, l.sizeAs)},
		{l.poisonSeconds > 0, fmt.Sprintf("poisonSeconds:%d as:%d", l.poisonSeconds, l.poisonAs)},
		{l.poisonRecords > 0, fmt.Sprintf("poisonRecords:%d", l.poisonRecords)},
		{l.list.most > 0, fmt.Sprintf("list:%+v", l.list)},
	} {
		if part.there {
			text += " " + part.text
		}
	}
	return text + "}"
}

// refuse returns the service's answer to a question that it refuses.
func refuse(as int) (*http.Response, error) {
	switch as {
	case refusesRequest:
		return answer(http.StatusBadRequest, `{"error_code":"FSS.0400","error_msg":"invalid parameter"}`), nil
	case failsInGateway:
		return answer(http.StatusGatewayTimeout, `<html>gateway timeout</html>`), nil
	case neverAnswers:
		return nil, timeoutError{}
	case failsInEnvelope:
		return answer(http.StatusOK, `{"error_code":"FSS.0500","error_msg":"internal error","count":0}`), nil
	case failsInEmptyList:
		return answer(http.StatusOK, `{"invocations":[],"error_code":"FSS.0500","error_msg":"internal error","count":0}`), nil
	default:
		return answer(http.StatusInternalServerError, `{"error_code":"FSS.0500","error_msg":"internal error"}`), nil
	}
}

// A timeoutError is the error of a call without an answer.
type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// A denial is how one function's questions are refused from one pass on until another.
type denial struct {
	from, until int // passes
	status      int // 401, 403, 404 or 500; 0 for no denial
	deleted     bool
}

func drawDenial(random *rand.Rand) denial {
	d := denial{from: []int{0, 0, 1, 4}[random.IntN(4)], until: never, status: http.StatusForbidden}
	switch random.IntN(3) {
	case 0: // a permission that is given later
		d.until = d.from + 1 + random.IntN(5)
	case 1:
	default:
		d.status, d.deleted = []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusInternalServerError}[random.IntN(3)], true
	}
	return d
}

// never is a pass that no history has.
const never = 1 << 10

func (d *denial) in(pass int) bool { return d.status != 0 && d.from <= pass && pass < d.until }

func (d *denial) answer() *http.Response {
	switch d.status {
	case http.StatusNotFound:
		return answer(d.status, `{"error_code":"FSS.0404","error_msg":"can not find function"}`)
	case http.StatusInternalServerError:
		return answer(d.status, `{"error_code":"FSS.0500","error_msg":"internal error"}`)
	case http.StatusUnauthorized:
		return answer(d.status, `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information"}`)
	default:
		return answer(d.status, `{"error_code":"FSS.0403","error_msg":"no permission"}`)
	}
}
