package completeness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const urn = "urn:fss:eu:p:function:default:f:latest"

// A transport carries calls to the service. It makes some calls fail, and changes records
// between calls.
type transport struct {
	now func() time.Time

	mu      sync.Mutex
	service *service
	calm    bool // no more events or faults
	limit   int  // events left
	pages   int
}

// RoundTrip may be called while pages asked for before their turn are under
// way: the service answers them one after the other, in any order.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if req.Context().Err() != nil {
		return nil, req.Context().Err()
	}
	s := t.service
	s.settle(t.now())
	if !strings.HasSuffix(req.URL.Path, "/async-invocations") {
		return answer(http.StatusOK, fmt.Sprintf(`{"functions":[{"func_urn":%q,"func_name":"f"}],"count":1}`, urn)), nil
	}
	if !t.calm && t.limit > 0 && s.random.IntN(3) == 0 {
		t.limit--
		s.event()
	}
	body := t.page(req)
	if !t.calm && s.random.Float64() < s.reading.faults {
		return t.fault(body)
	}
	return answer(http.StatusOK, body), nil
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func (t *transport) fault(body string) (*http.Response, error) {
	switch t.service.random.IntN(6) {
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
	default:
		return answer(http.StatusOK, ""), nil
	}
}

// page returns the service's answer in the form of the history's reading.
func (t *transport) page(req *http.Request) string {
	const layout = "2006-01-02T15:04:05Z"
	query, s := req.URL.Query(), t.service
	from, _ := time.Parse(layout, query.Get("query_begin_time"))
	to, _ := time.Parse(layout, query.Get("query_end_time"))
	marker, _ := strconv.Atoi(query.Get("marker"))
	limit, _ := strconv.Atoi(query.Get("limit"))

	all := s.list(from, to, query.Get("request_id"))
	first := min(marker, len(all))
	if s.reading.capped {
		limit = (limit + 1) / 2
	}
	last := min(first+limit, len(all))
	elements := make([]map[string]any, 0, last-first)
	for _, r := range all[first:last] {
		e := map[string]any{"request_id": r.id, "status": r.status, "error_message": "", "error_code": r.code}
		if !r.start.IsZero() {
			e["start_time"] = r.start.Format("2006-01-02T15:04:05")
		}
		if !r.end.IsZero() {
			e["end_time"] = r.end.Format("2006-01-02T15:04:05")
		}
		elements = append(elements, e)
	}
	body := map[string]any{"invocations": elements}
	switch s.reading.count {
	case countRight:
		body["count"] = len(all)
	case countNull:
		body["count"] = nil
	case countOwnLength:
		body["count"] = len(elements)
	}
	switch {
	case last < len(all) && s.reading.marker == markerString:
		body["next_marker"] = strconv.Itoa(last)
	case last < len(all) && s.reading.marker != markerAbsent:
		body["next_marker"] = last
	case s.reading.marker == markerZeroAtEnd:
		body["next_marker"] = 0
	case s.reading.marker == markerTotalAtEnd:
		body["next_marker"] = len(all)
	case s.reading.marker == markerAgainAtEnd:
		body["next_marker"] = marker
	}
	t.pages++
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return string(encoded)
}
