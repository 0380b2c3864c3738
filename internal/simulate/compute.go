package simulate

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Function Compute's API serves the same records, with its own paths and status
// words. All functions belong to one service. Request ids are in capitals, as in
// that cloud, so that one archive can hold the records of both clouds.
const (
	computePath    = "/2021-04-06/"
	computeService = "default"

	// Bounds of limit (page: ListStatefulAsyncInvocations).
	defaultStateful = 20
	maxStateful     = 100
)

// computeStatuses are the statuses that a query can ask for (page:
// ListStatefulAsyncInvocations, status). Records can also have the status
// Dequeued, for which a query cannot ask.
var computeStatuses = []string{"Enqueued", "Succeeded", "Failed", "Running", "Stopped", "Stopping", "Invalid", "Expired", "Retrying"}

func ofCompute(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, computePath) }

// compute is the body of the refusal in Function Compute's format.
func (e *refusal) compute() string {
	return `{"ErrorCode":` + quote(e.ofCompute()) + `,"ErrorMessage":` + quote(e.message) + `}`
}

// ofCompute is the refusal's code in Function Compute's words.
func (e *refusal) ofCompute() string {
	code := map[int]string{
		http.StatusBadRequest: "InvalidArgument", http.StatusForbidden: "AccessDenied",
		http.StatusNotFound: "PathNotSupported", http.StatusTooManyRequests: "ResourceExhausted",
		http.StatusUnauthorized: "Unauthorized",
	}[e.status]
	return cmp.Or(e.computeCode, code, "InternalServerError")
}

// routeCompute registers Function Compute's operations (page:
// ListStatefulAsyncInvocations; SDK: ListStatefulAsyncInvocationFunctions).
func (s *Server) routeCompute() {
	const functions = "GET " + computePath + "stateful-async-invocation-functions"
	s.handle(functions, &s.stats.ListStatefulAsyncInvocationFunctions, s.computeCall, s.listStatefulFunctions)
	const invocations = "GET " + computePath + "services/{service}/functions/{function}/stateful-async-invocations"
	s.handle(invocations, &s.stats.ListStatefulAsyncInvocations, s.computeCall, s.listStateful)
}

// computeCall reads a request of Function Compute.
func (s *Server) computeCall(r *http.Request) (c call, err error) {
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return c, invalid("malformed query string")
	}
	name := r.PathValue("function")
	if name == "" {
		return c, nil
	}
	c.function = slices.Index(s.names, name)
	if c.function < 0 || r.PathValue("service") != computeService {
		return c, errNoFunction
	}
	return c, s.functionFault(c.function)
}

// statefulQuery is what one call of Function Compute asks of a function's records.
type statefulQuery struct {
	query
	at         statefulToken
	descending bool
	prefix     string // of the invocation id
	word       string // the status
	payload    bool
}

// statefulToken is where the next page begins: its offset, and the number of
// pages before, so that the token after an empty page differs from its own.
type statefulToken struct{ offset, step int }

func (t statefulToken) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", t.offset, t.step))
}

func parseToken(text string) (t statefulToken, err error) {
	if text == "" {
		return t, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%d.%d", &t.offset, &t.step)
	}
	if err != nil || t.offset < 0 || t.String() != text {
		return t, invalid("nextToken is invalid")
	}
	return t, nil
}

// parseStateful reads the query parameters. The pages do not say what a missing
// border of the range means; here it means no border.
func parseStateful(c call, now time.Time) (q statefulQuery, err error) {
	values := c.query
	q.Function, q.Now = c.function, now.Unix()
	q.prefix, q.word = values.Get("invocationIdPrefix"), values.Get("status")
	if q.word != "" && !slices.Contains(computeStatuses, q.word) {
		return q, invalid("status is not one of " + strings.Join(computeStatuses, ", "))
	}
	if q.at, err = parseToken(values.Get("nextToken")); err != nil {
		return q, err
	}
	if q.Limit, err = parseLimit(values); err != nil {
		return q, err
	}
	for name, to := range map[string]*int64{"startedTimeBegin": &q.Begin, "startedTimeEnd": &q.End} {
		*to = 0
		if text := values.Get(name); text != "" {
			if *to, err = strconv.ParseInt(text, 10, 64); err != nil || *to < 0 {
				return q, invalid(name + " is not a time in milliseconds")
			}
		}
	}
	// Records start at whole seconds.
	q.Begin = (q.Begin + 999) / 1000
	if q.End /= 1000; q.End == 0 {
		q.End = now.Unix()
	}
	switch order := values.Get("sortOrderByTime"); order {
	case "", "asc":
	case "desc":
		q.descending = true
	default:
		return q, invalid("sortOrderByTime is neither asc nor desc")
	}
	q.payload = values.Get("includePayload") == "true"
	return q, nil
}

func parseLimit(values url.Values) (int, error) {
	limit, err := parseOffset(values, "limit")
	if err == nil && (limit > maxStateful || limit == 0 && values.Get("limit") != "") {
		err = invalid("limit is not from 1 to 100")
	}
	return cmp.Or(limit, defaultStateful), err
}

// listStateful answers GET …/stateful-async-invocations.
func (s *Server) listStateful(w http.ResponseWriter, c call) error {
	now := s.options.Now()
	q, err := parseStateful(c, now)
	if err != nil {
		return err
	}
	if qualifier := c.query.Get("qualifier"); qualifier != "" && qualifier != computeQualifier {
		write(w, http.StatusOK, []byte(`{"invocations":[]}`))
		return nil
	}
	body, records, err := s.answerStateful(q, now)
	if err == nil {
		err = s.pay(c, q.query, records)
	}
	if err != nil {
		return err
	}
	write(w, http.StatusOK, body)
	s.stats.add(&s.stats.Records, records)
	return nil
}

// answerStateful returns the body of the answer to a query and its number of records.
func (s *Server) answerStateful(q statefulQuery, now time.Time) (body []byte, records int, err error) {
	f := s.faults
	if f.limitCap > 0 {
		q.Limit = min(q.Limit, f.limitCap)
	}
	q.Marker = q.at.offset
	if err := f.limit(q.query); err != nil {
		return nil, 0, err
	}
	sc := &f.scenes[q.Function]
	sc.mu.Lock()
	defer sc.mu.Unlock()
	items, more := s.statefulItems(sc, q, f.short(q), now)
	next := statefulToken{q.at.offset + len(items), q.at.step + 1}
	body = f.renderStateful(q, s.names[q.Function], items, next, more || f.trailing(q))
	return body, len(items), f.spoilt(q.query, items, body)
}

// short is how many records a page has. Some pages have fewer than asked for or
// none, because only a missing nextToken marks the last page (page:
// ListStatefulAsyncInvocations, nextToken).
func (f *faulter) short(q statefulQuery) int {
	switch u := f.statefulDraw(q).of(drawShort).share(); {
	case u < 0.05:
		return 0
	case u < 0.2:
		return q.Limit / 2
	}
	return q.Limit
}

// trailing reports whether the last page with records has a token, which leads to
// an empty page.
func (f *faulter) trailing(q statefulQuery) bool {
	return q.at.step == 0 && f.statefulDraw(q).of(drawMarker).share() < 0.1
}

func (f *faulter) statefulDraw(q statefulQuery) dice {
	return f.root.of(drawAnswer).of(dice(q.Function)).of(dice(q.Begin)).of(dice(q.at.offset)).of(dice(q.at.step))
}

// statefulItems returns up to n records of the list from the query's offset on,
// and whether more records follow.
func (s *Server) statefulItems(sc *scene, q statefulQuery, n int, now time.Time) (items []item, more bool) {
	f := s.faults
	if !s.options.Faults.active() && q.prefix == "" && q.word == "" {
		// Data lists the newest first, so offsets are counted from that end.
		q.Limit, q.Marker = 0, 0
		_, count := s.data.Page(q.Query, nil)
		from := min(q.at.offset, count)
		to := min(from+n, count)
		q.Marker, q.Limit = count-to, to-from
		if q.descending {
			q.Marker = from
		}
		hits, _ := s.data.Page(q.Query, nil)
		m := moment{wall: now, data: s.data.AsOf(now.Unix())}
		for _, h := range hits {
			i, _ := f.item(q.Function, h, m)
			items = append(items, i)
		}
		if !q.descending {
			slices.Reverse(items)
		}
		return items, to < count
	}
	all := f.list(sc, q.query, now)
	if f.order != "none" && (f.order == "newest") != q.descending {
		slices.Reverse(all)
	}
	all = slices.DeleteFunc(all, func(i item) bool {
		return !strings.HasPrefix(f.invocationID(&i), q.prefix) || q.word != "" && q.word != i.computeStatus()
	})
	all, count := f.clip(q.Function, all)
	if f.beyond == "empty" {
		count = len(all) // else a token would lead to empty pages for ever
	}
	from := min(q.at.offset, len(all))
	to := min(from+n, len(all))
	sc.answers++
	if f.drifting(sc, q.query) {
		sc.show(all[from:to])
	}
	return all[from:to], to < count
}

// listStatefulFunctions answers GET …/stateful-async-invocation-functions.
func (s *Server) listStatefulFunctions(w http.ResponseWriter, c call) error {
	at, err := parseToken(c.query.Get("nextToken"))
	if err != nil {
		return err
	}
	limit, err := parseLimit(c.query)
	if err != nil {
		return err
	}
	functions, _, err := s.listed()
	if err != nil {
		return err
	}
	data := []map[string]string{}
	from := min(at.offset, len(functions))
	to := min(from+limit, len(functions))
	for _, i := range functions[from:to] {
		data = append(data, map[string]string{"serviceName": computeService, "functionName": s.names[i], "qualifier": computeQualifier})
	}
	answer := map[string]any{"data": data}
	if to < len(functions) {
		answer["nextToken"] = statefulToken{to, at.step + 1}.String()
	}
	return answerJSON(w, http.StatusOK, answer)
}
