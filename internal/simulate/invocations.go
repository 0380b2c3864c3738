package simulate

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"archiver/internal/simulate/dataset"
)

// The bounds of the parameters (page: Querying Asynchronous Invocation Requests,
// Table 2).
const (
	defaultLimit = 100
	maxLimit     = 500
	maxLength    = 64
	timeLayout   = "2006-01-02T15:04:05"
)

// listInvocations answers GET …/async-invocations, newest first.
func (s *Server) listInvocations(w http.ResponseWriter, c call) error {
	now := s.options.Now()
	q, err := parseQuery(c.query, now)
	if err != nil {
		return err
	}
	q.Function, q.version = c.function, c.version
	if s.options.Faults.active() {
		body, records, err := s.faults.answer(q, now)
		if err == nil {
			err = s.pay(c, q, records)
		}
		if err != nil {
			return err
		}
		s.stats.add(&s.stats.Records, records)
		write(w, http.StatusOK, body)
		return nil
	}
	hits, count := s.data.Page(q.Query, nil)
	next := -1
	if end := q.Marker + len(hits); len(hits) > 0 && end < count {
		next = end
	}
	s.stats.add(&s.stats.Records, len(hits))
	write(w, http.StatusOK, render(s.data, q, hits, count, next))
	return nil
}

// query is what one call asks of the records of one version of a function.
type query struct {
	dataset.Query
	version int // index in versions
}

// parseQuery reads the six query parameters. The default range ends at now, to the
// second. An empty parameter counts as missing, because the page allows a length
// of 0.
func parseQuery(values url.Values, now time.Time) (query, error) {
	q := query{Query: dataset.Query{
		Now: now.Unix(), ID: values.Get("request_id"), Status: dataset.Status(values.Get("status")),
	}}
	for _, name := range []string{"request_id", "marker", "limit", "status"} {
		if len(values.Get(name)) > maxLength {
			return q, invalid(name + " is longer than 64 characters")
		}
	}
	if q.Status != "" && !q.Status.Valid() {
		return q, invalid("status is not one of WAIT, RUNNING, SUCCESS, FAIL, DISCARD")
	}
	var err error
	if q.Marker, err = parseOffset(values, "marker"); err != nil {
		return q, err
	}
	if q.Limit, err = parseOffset(values, "limit"); err != nil {
		return q, err
	}
	// The page does not say what a limit of 0 means. The SDK's page on
	// async-invoke-configs says that it means the default.
	q.Limit = min(cmp.Or(q.Limit, defaultLimit), maxLimit)
	if q.Begin, err = parseTime(values, "query_begin_time", now.Add(-time.Hour)); err != nil {
		return q, err
	}
	q.End, err = parseTime(values, "query_end_time", now)
	return q, err
}

// parseOffset reads a whole number from 0 on. A missing one is 0.
func parseOffset(values url.Values, name string) (int, error) {
	text := values.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, strconv.IntSize-1)
	if err != nil {
		return 0, invalid(name + " is not a whole number from 0 on")
	}
	return int(n), nil
}

// parseTime reads a time in UTC as seconds since the epoch. The page's format is
// YYYY-MM-DDTHH:mm:ss; the SDK appends a Z (core/sdktime).
func parseTime(values url.Values, name string, otherwise time.Time) (int64, error) {
	text := values.Get(name)
	if text == "" {
		return otherwise.Unix(), nil
	}
	text = strings.TrimSuffix(text, "Z")
	// time.Parse accepts a fraction of a second even if the layout has none.
	t, err := time.Parse(timeLayout, text)
	if err != nil || len(text) != len(timeLayout) {
		return 0, invalid(name + " is not a UTC time like 2006-01-02T15:04:05")
	}
	return t.Unix(), nil
}

// fragments are the parts of a record's JSON object before and after its times.
var fragments = func() map[*dataset.Outcome]struct{ head, tail string } {
	all := make(map[*dataset.Outcome]struct{ head, tail string })
	for _, o := range dataset.Outcomes() {
		all[o] = struct{ head, tail string }{
			head: `","status":` + quote(string(o.Status)) + `,"error_message":` + quote(o.Message),
			tail: `,"error_code":` + strconv.Itoa(o.Code) + `}`,
		}
	}
	return all
}()

// render returns the body of an answer without faults. It leaves out a negative
// next_marker.
func render(d *dataset.Data, q query, hits []dataset.Hit, count, next int) []byte {
	now := d.AsOf(q.Now)
	b := make([]byte, 0, 256*(len(hits)+1)) // a record with a short message fits in 256 bytes
	b = append(b, `{"invocations":[`...)
	for i, h := range hits {
		if i > 0 {
			b = append(b, ',')
		}
		state := h.State(now)
		b = append(b, `{"request_id":"`...)
		b = d.AppendRequestID(b, h.Position(q.Function))
		fragment := fragments[state.Outcome]
		b = append(b, fragment.head...)
		if state.Started {
			b = append(appendTime(append(b, `,"start_time":"`...), state.Start), '"')
		}
		if state.Settled {
			b = append(appendTime(append(b, `,"end_time":"`...), state.End), '"')
		}
		b = append(b, fragment.tail...)
	}
	b = append(b, `],"count":`...)
	b = strconv.AppendInt(b, int64(count), 10)
	if next >= 0 {
		b = append(b, `,"next_marker":`...)
		b = strconv.AppendInt(b, int64(next), 10)
	}
	return append(b, '}')
}

// appendTime appends a time in seconds since the epoch in timeLayout. Formatting
// with time.RFC3339, without its Z, is faster.
func appendTime(b []byte, unix int64) []byte {
	b = time.Unix(unix, 0).UTC().AppendFormat(b, time.RFC3339)
	return b[:len(b)-1]
}
