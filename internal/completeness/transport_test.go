package completeness

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A transport carries calls to the service. It makes some calls fail, and changes records
// between calls.
type transport struct {
	now     func() time.Time
	service *service
	random  *rand.Rand // of the list of functions

	mu    sync.Mutex
	calm  bool // no more events or faults
	limit int  // events left
	pass  int
	calls int // in this pass
	stray int // the last of them that was answered 401
	// The functions that the service listed in this pass, and how many there are.
	listed  map[*function]bool
	counted int
}

// begin begins a pass.
func (t *transport) begin(pass int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass, t.calls, t.stray, t.listed = pass, 0, 0, make(map[*function]bool)
	// Records change only while a later pass can notice: counts are compared again
	// after VerifyAfter. Faults and crashes go on for some passes.
	if pass >= 3 {
		t.limit = 0
	}
	t.calm = pass >= calmFrom
}

// RoundTrip may be called while pages asked for before their turn are under
// way: the service answers them one after the other, in any order.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if req.Context().Err() != nil {
		return nil, req.Context().Err()
	}
	t.calls++
	for _, f := range t.service.functions {
		if strings.Contains(req.URL.Path, f.urn) {
			return t.ofFunction(f, req)
		}
	}
	body := t.functions(req)
	if t.fails(t.random) {
		return t.fault(t.random, body)
	}
	return answer(http.StatusOK, body), nil
}

func (t *transport) fails(random *rand.Rand) bool {
	return !t.calm && random.Float64() < t.service.reading.faults
}

// ofFunction answers a call that names the function.
func (t *transport) ofFunction(f *function, req *http.Request) (*http.Response, error) {
	if f.denial.in(t.pass) {
		return f.denial.answer(), nil
	}
	if strings.HasSuffix(req.URL.Path, "/async-invoke-configs") {
		return answer(http.StatusOK, `{"async_invoke_configs":[],"count":0}`), nil
	}
	f.settle(t.now())
	if !t.calm && t.limit > 0 && f.random.IntN(3) == 0 {
		t.limit--
		f.event()
	}
	body, as := t.page(f, req)
	if t.fails(f.random) {
		return t.fault(f.random, body)
	}
	if as != answers {
		return refuse(as)
	}
	return answer(http.StatusOK, body), nil
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func (t *transport) fault(random *rand.Rand, body string) (*http.Response, error) {
	switch random.IntN(14) {
	case 0:
		return answer(http.StatusTooManyRequests, `{"error_code":"APIGW.0308","error_msg":"throttled"}`), nil
	case 1:
		return answer(http.StatusInternalServerError, `{"error_code":"FSS.0500","error_msg":"xxx"}`), nil
	case 2:
		return answer(http.StatusBadGateway, `<html>bad gateway</html>`), nil
	case 3:
		return nil, errors.New("connection reset by peer")
	case 4:
		return answer(http.StatusOK, body[:len(body)/2]), nil
	case 5:
		if t.stray > 0 && t.calls-t.stray < 10 { // several in a row are a denial, which ends a run
			return answer(http.StatusInternalServerError, ""), nil
		}
		t.stray = t.calls
		return answer(http.StatusUnauthorized, `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information"}`), nil
	case 6:
		return answer(http.StatusOK, `{"error_code":"APIGW.0308","error_msg":"throttled","count":0}`), nil
	case 7:
		return answer(http.StatusOK, `{"invocations":[],"functions":[],"error_code":"FSS.0500","error_msg":"internal error","count":0}`), nil
	case 8:
		return answer(http.StatusOK, `{"invocations":[],"functions":[],"errorCode":"InternalServerError","errorMessage":"internal error"}`), nil
	case 9:
		return answer(http.StatusOK, `{"code":"500","message":"internal error","count":0}`), nil
	case 10:
		return answer(http.StatusOK, `{"count":0,"error":{"code":"500","message":"internal error"},"error_code":"FSS.0500"}`), nil
	case 11:
		return answer(http.StatusOK, `{}`), nil
	case 12:
		return answer(http.StatusOK, `{"request_id":"5c1a2f"}`), nil
	default:
		return answer(http.StatusOK, ""), nil
	}
}

// functions answers with a list of functions.
func (t *transport) functions(req *http.Request) string {
	marker, _ := strconv.Atoi(req.URL.Query().Get("marker"))
	var all []*function
	for _, f := range t.service.functions {
		if !f.denial.deleted || !f.denial.in(t.pass) {
			all = append(all, f)
		}
	}
	t.counted = len(all)
	body := map[string]any{"count": len(all)}
	if l := t.service.limits.list; l.most > 0 && t.pass < l.until {
		if !l.counted {
			delete(body, "count")
		}
		if l.shuffled {
			t.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		all = all[:min(l.most, len(all))]
	}
	list := []map[string]any{}
	most, _ := strconv.Atoi(req.URL.Query().Get("maxitems"))
	for _, f := range all[min(marker, len(all)):min(marker+most, len(all))] {
		t.listed[f] = true
		list = append(list, map[string]any{"func_urn": f.urn, "func_name": f.name})
	}
	body["functions"] = list
	return encode(body)
}

// answers says that the service does not refuse the question.
const answers = -1

// page returns the service's answer in the form of the history's reading. If the service
// refuses the question, it returns how.
func (t *transport) page(f *function, req *http.Request) (body string, as int) {
	const layout = "2006-01-02T15:04:05Z"
	query, r, l := req.URL.Query(), t.service.reading, t.service.limits
	from, _ := time.Parse(layout, query.Get("query_begin_time"))
	to, _ := time.Parse(layout, query.Get("query_end_time"))
	marker, _ := strconv.Atoi(query.Get("marker"))
	limit, _ := strconv.Atoi(query.Get("limit"))
	as = answers
	for _, second := range f.poisoned {
		if f.covers(from, to, second) {
			as = l.poisonAs
		}
	}
	if l.retention > 0 && l.refusesOld && from.Before(t.now().Add(-l.retention)) {
		as = refusesRequest
	}
	if l.widest > 0 && to.Sub(from) > l.widest {
		as = l.widestAs
	}

	all := f.list(from, to, query.Get("request_id"), t.now())
	given, count := all, len(all)
	if most := f.ceiling(); most > 0 {
		given = all[:min(most, len(all))]
		if l.clipped {
			count = len(given)
		}
		if l.beyond == beyondRefused && marker >= most || l.beyond == beyondCrossed && marker+limit > most {
			as = refusesRequest
		}
	}
	if r.capped {
		limit = (limit + 1) / 2
	}
	first := min(marker, len(given))
	last := min(first+limit, len(given))
	size := 0
	elements := make([]map[string]any, 0, last-first)
	for _, r := range given[first:last] {
		elements = append(elements, t.element(r))
		size += r.size
		if r.poisoned {
			as = failsInside
		}
	}
	if l.size > 0 && size > l.size {
		as = l.sizeAs
	}
	return t.listOf(elements, marker, last, len(given), count), as
}

func (t *transport) element(r *record) map[string]any {
	e := map[string]any{"request_id": r.id, "status": r.status, "error_message": "", "error_code": r.code}
	for name, at := range map[string]time.Time{"start_time": r.start, "end_time": r.end} {
		if absent := absentTimes[t.service.reading.absent]; !at.IsZero() {
			e[name] = at.Format("2006-01-02T15:04:05")
		} else if absent != nil {
			e[name] = absent
		}
	}
	return e
}

// listOf returns a page of the list that ends with element last of given.
func (t *transport) listOf(elements []map[string]any, marker, last, given, count int) string {
	r := t.service.reading
	body := maps.Clone(successes[r.success])
	if body == nil {
		body = make(map[string]any)
	}
	body["invocations"] = elements
	switch r.count {
	case countRight:
		body["count"] = count
		if count == 0 && r.emptyWithoutList {
			delete(body, "invocations")
		}
	case countNull:
		body["count"] = nil
	case countOwnLength:
		body["count"] = len(elements)
	}
	switch {
	case last < given && r.marker == markerString:
		body["next_marker"] = strconv.Itoa(last)
	case last < given && r.marker != markerAbsent:
		body["next_marker"] = last
	case r.marker == markerZeroAtEnd:
		body["next_marker"] = 0
	case r.marker == markerTotalAtEnd:
		body["next_marker"] = count
	case r.marker == markerAgainAtEnd:
		body["next_marker"] = marker
	}
	return encode(body)
}

func encode(body map[string]any) string {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return string(encoded)
}
