package simulate_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// answer is the body of async-invocations. Absent fields differ from empty ones.
type answer struct {
	Invocations []struct {
		RequestID    string  `json:"request_id"`
		Status       string  `json:"status"`
		ErrorMessage *string `json:"error_message"`
		ErrorCode    *int    `json:"error_code"`
		Start        *string `json:"start_time"`
		End          *string `json:"end_time"`
	} `json:"invocations"`
	Count      *int   `json:"count"`
	NextMarker *int   `json:"next_marker"`
	ErrorCode  string `json:"error_code"`
	ErrorMsg   string `json:"error_msg"`
}

// ask asks for a function's invocations with the token.
func ask(t testing.TB, s *simulate.Server, function int, query string) (int, answer) {
	t.Helper()
	w := get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[function].URN+"/async-invocations?"+query)
	if !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json" ||
		w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) || w.Header().Get("X-Request-Id") == "" {
		t.Fatalf("%s: headers %v, body %s", query, w.Header(), w.Body)
	}
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return w.Code, a
}

func get(s http.Handler, target string) *httptest.ResponseRecorder {
	return send(s, http.MethodGet, target)
}

func send(s http.Handler, method, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("X-Auth-Token", token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// atNoon is a server whose clock is set to noon of the day, and the records of its
// only function.
func atNoon(t testing.TB, invocations int) (*simulate.Server, []dataset.Record) {
	t.Helper()
	d := generate(t, 1, invocations)
	s, _ := serve(t, d, func(o *simulate.Options) { o.Now = func() time.Time { return noon } })
	return s, slices.Collect(d.Records(0))
}

func between(records []dataset.Record, begin, end time.Time) []dataset.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r dataset.Record) bool {
		return r.Start.Before(begin) || r.Start.After(end)
	})
}

const wholeDay = "query_begin_time=2026-03-14T00:00:00&query_end_time=2026-03-14T23:59:59"

func TestParameters(t *testing.T) {
	t.Parallel()
	const total = 20_000
	s, records := atNoon(t, total)
	lastHour := len(between(records, noon.Add(-time.Hour), noon))
	if lastHour <= 500 {
		t.Fatalf("only %d records in the hour before noon", lastHour)
	}
	const none = -1
	cases := []struct {
		query        string
		length, next int
		count        int
	}{
		{"", 100, 100, lastHour},
		{"limit=&marker=&status=&request_id=&query_begin_time=&query_end_time=", 100, 100, lastHour},
		{"limit=0", 100, 100, lastHour},
		{"limit=1", 1, 1, lastHour},
		{"limit=500", 500, 500, lastHour},
		{"limit=501", 500, 500, lastHour},
		{"limit=9223372036854775807", 500, 500, lastHour},
		{"marker=7&limit=3", 3, 10, lastHour},
		{fmt.Sprint("marker=", lastHour-100), 100, none, lastHour},
		{fmt.Sprint("marker=", lastHour-101), 100, lastHour - 1, lastHour},
		{fmt.Sprint("marker=", lastHour-1), 1, none, lastHour},
		{fmt.Sprint("marker=", lastHour), 0, none, lastHour},
		{"marker=9223372036854775807", 0, none, lastHour},
		{"query_end_time=2026-03-14T11:30:00", 100, 100, len(between(records, noon.Add(-time.Hour), noon.Add(-30*time.Minute)))},
		{"query_begin_time=2026-03-14T00:00:00Z", 100, 100, len(between(records, day, noon))},
		{"query_end_time=2026-03-14T10:59:59", 0, none, 0},
		{"query_begin_time=2026-03-14T12:00:01", 0, none, 0},
		{"query_begin_time=0001-01-01T00:00:00&query_end_time=9999-12-31T23:59:59", 100, 100, total},
		{"query_begin_time=2026-03-15T00:00:00&query_end_time=2026-03-16T00:00:00", 0, none, 0},
		{"query_begin_time=2026-03-12T00:00:00&query_end_time=2026-03-13T23:59:59", 0, none, 0},
		{wholeDay + "&request_id=" + records[0].RequestID, 1, none, 1},
		{wholeDay + "&marker=1&request_id=" + records[0].RequestID, 0, none, 1},
		{"request_id=" + records[0].RequestID, 0, none, 0},
		{wholeDay + "&request_id=" + strings.ToUpper(records[0].RequestID), 0, none, 0},
		{wholeDay + "&request_id=" + strings.Repeat("f", 64), 0, none, 0},
		{wholeDay + "&request_id=00000000-0000-0000-0000-000000000000", 0, none, 0},
	}
	for _, c := range cases {
		t.Run(c.query, func(t *testing.T) {
			t.Parallel()
			status, a := ask(t, s, 0, c.query)
			next := none
			if a.NextMarker != nil {
				next = *a.NextMarker
			}
			if status != http.StatusOK || a.Invocations == nil || a.Count == nil {
				t.Fatalf("status %d, %+v", status, a)
			}
			if len(a.Invocations) != c.length || next != c.next || *a.Count != c.count {
				t.Errorf("%d records, next_marker %d, count %d; want %d, %d, %d",
					len(a.Invocations), next, *a.Count, c.length, c.next, c.count)
			}
		})
	}
}

func TestInvalidParameters(t *testing.T) {
	t.Parallel()
	s, _ := atNoon(t, 10)
	for _, query := range []string{
		"limit=-1", "limit=ten", "limit=1.5", "limit=%2B1", "limit=0x10", "limit=9223372036854775808",
		"limit=" + strings.Repeat("0", 64) + "1",
		"marker=-1", "marker=x", "marker=18446744073709551616",
		"status=DONE", "status=success", "status=" + strings.Repeat("S", 65),
		"request_id=" + strings.Repeat("a", 65),
		"query_begin_time=2026-03-14", "query_begin_time=2026-03-14T00:00:00.5", "query_begin_time=2026-03-14T00:00:00ZZ",
		"query_begin_time=2026-03-14T00:00:00%2B08:00", "query_begin_time=2026-02-30T00:00:00",
		"query_end_time=1773446400", "query_end_time=2026-03-14 00:00:00", "query_end_time=2026-03-14T24:00:00",
		"limit=%zz", "limit=1;marker=2",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			status, a := ask(t, s, 0, strings.ReplaceAll(query, " ", "%20"))
			if status != http.StatusBadRequest || a.ErrorCode != "FSS.0400" || a.ErrorMsg == "" {
				t.Errorf("status %d, %+v", status, a)
			}
		})
	}
}

// Both borders of the time range are included, to the second.
func TestBorders(t *testing.T) {
	t.Parallel()
	s, records := atNoon(t, 3000)
	for _, r := range records[100:130] {
		at := r.Start.Format("2006-01-02T15:04:05")
		_, a := ask(t, s, 0, "limit=500&query_begin_time="+at+"&query_end_time="+at)
		if want := len(between(records, r.Start, r.Start)); *a.Count != want || len(a.Invocations) != want {
			t.Errorf("at %s: %d of %d records, want %d", at, len(a.Invocations), *a.Count, want)
		}
	}
}

// Pages of any size and status list the newest records first, and each record
// once.
func TestPagesAndFilters(t *testing.T) {
	t.Parallel()
	d := generate(t, 3, 9000)
	s, _ := serve(t, d)
	failures := 0
	for function := range d.Functions() {
		all := slices.Collect(d.Records(function))
		slices.Reverse(all)
		for _, status := range []dataset.Status{"", dataset.StatusSuccess, dataset.StatusFail, dataset.StatusDiscard, dataset.StatusRunning, dataset.StatusWait} {
			var want, got []string
			for _, r := range all {
				if status == "" || r.Status == status {
					want = append(want, r.RequestID)
				}
			}
			if status == dataset.StatusFail {
				failures += len(want)
			}
			for marker := 0; marker >= 0; {
				_, a := ask(t, s, function, wholeDay+"&limit=333&status="+string(status)+"&marker="+fmt.Sprint(marker))
				for _, r := range a.Invocations {
					got = append(got, r.RequestID)
				}
				if *a.Count != len(want) {
					t.Fatalf("function %d %s: count %d, want %d", function, status, *a.Count, len(want))
				}
				marker = -1
				if a.NextMarker != nil {
					marker = *a.NextMarker
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("function %d %s (-want +got):\n%s", function, status, diff)
			}
		}
	}
	if failures == 0 {
		t.Error("nothing failed")
	}
}

// Conditions combine with AND, and an id is found only under its function.
func TestLookup(t *testing.T) {
	t.Parallel()
	d := generate(t, 2, 500)
	s, _ := serve(t, d)
	for r := range d.Records(0) {
		status, a := ask(t, s, 0, wholeDay+"&request_id="+r.RequestID)
		if status != http.StatusOK || len(a.Invocations) != 1 || a.Invocations[0].RequestID != r.RequestID ||
			*a.Invocations[0].Start != r.Start.Format("2006-01-02T15:04:05") {
			t.Fatalf("%s: %+v", r.RequestID, a)
		}
		if _, a = ask(t, s, 1, wholeDay+"&request_id="+r.RequestID); *a.Count != 0 {
			t.Fatalf("%s is found under another function", r.RequestID)
		}
		other := dataset.StatusSuccess
		if r.Status == other {
			other = dataset.StatusFail
		}
		if _, a = ask(t, s, 0, wholeDay+"&request_id="+r.RequestID+"&status="+string(other)); *a.Count != 0 {
			t.Fatalf("%s is found as %s, but is %s", r.RequestID, other, r.Status)
		}
	}
}

// The answer has the fields and formats of the page's sample.
func TestAnswerShape(t *testing.T) {
	t.Parallel()
	s, records := atNoon(t, 1)
	w := get(s, "/v2/"+projectID+"/fgs/functions/"+url.PathEscape(s.Functions()[0].URN)+"/async-invocations?"+wholeDay)
	r := records[0]
	message, err := json.Marshal(r.ErrorMessage)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"invocations":[{"request_id":%q,"status":%q,"error_message":%s,"start_time":%q,"end_time":%q,"error_code":%d}],"count":1}`,
		r.RequestID, r.Status, message, r.Start.Format("2006-01-02T15:04:05"), r.End.Format("2006-01-02T15:04:05"), r.ErrorCode)
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty := get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[0].URN+"/async-invocations?query_begin_time=2026-03-20T00:00:00")
	if want := `{"invocations":[],"count":0}`; empty.Body.String() != want {
		t.Errorf("got %s, want %s", empty.Body, want)
	}
}

// For any query, the answer is JSON with status 200 or 400, and within its bounds.
func FuzzQuery(f *testing.F) {
	d, err := dataset.Generate(dataset.GenerateOptions{Functions: 1, Invocations: 2000, Date: day})
	if err != nil {
		f.Fatal(err)
	}
	s, err := simulate.New(simulate.Options{Data: d, ProjectID: projectID, Token: token, Now: func() time.Time { return noon }})
	if err != nil {
		f.Fatal(err)
	}
	for r := range d.Records(0) {
		f.Add(wholeDay + "&request_id=" + r.RequestID)
		break
	}
	f.Add("marker=9223372036854775807&limit=500&status=FAIL")
	f.Add("query_begin_time=0000-01-01T00:00:00&query_end_time=9999-12-31T23:59:59Z&marker=100")
	f.Add("limit=%zz&&=&;")
	path := "/v2/" + projectID + "/fgs/functions/" + s.Functions()[0].URN + "/async-invocations"
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.URL.RawQuery = query
		r.Header.Set("X-Auth-Token", token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		switch w.Code {
		case http.StatusBadRequest:
		case http.StatusOK:
			if len(a.Invocations) > 500 || *a.Count > 2000 || a.NextMarker != nil && *a.NextMarker >= *a.Count {
				t.Errorf("%d records, count %d, next_marker %v", len(a.Invocations), *a.Count, a.NextMarker)
			}
		default:
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}

// discard is an http.ResponseWriter that drops the answer, so that a benchmark
// measures the server alone.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkPage(b *testing.B) {
	d := generate(b, 1, 100_000)
	s, _ := serve(b, d)
	path := "/v2/" + projectID + "/fgs/functions/" + s.Functions()[0].URN + "/async-invocations?" + wholeDay + "&limit=500&marker="
	for _, c := range []struct{ name, query string }{
		{"first", "0"}, {"deep", "99000"}, {"filtered", "90000&status=SUCCESS"},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, path+c.query, nil)
			r.Header.Set("X-Auth-Token", token)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(w, r)
			}
		})
	}
}
