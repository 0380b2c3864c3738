package simulate_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// everything is a range that includes all times that faults give the records.
const everything = "query_begin_time=2026-01-01T00:00:00&query_end_time=2026-12-31T00:00:00"

// rawAnswer distinguishes absent fields (nil) from null.
type rawAnswer struct {
	Invocations []json.RawMessage `json:"invocations"`
	Count       json.RawMessage   `json:"count"`
	Next        json.RawMessage   `json:"next_marker"`
}

func (a *rawAnswer) next() (n int, ok bool) {
	n, err := strconv.Atoi(strings.Trim(string(a.Next), `"`))
	return n, err == nil
}

// read asks for a page.
func read(t testing.TB, s *simulate.Server, function int, query string) rawAnswer {
	t.Helper()
	w := get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[function].URN+"/async-invocations?"+query)
	var a rawAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d, %v: %.200s", query, w.Code, err, w.Body)
	}
	return a
}

// gather reads a list to its end and returns the pages. It follows a next_marker
// only if that is larger than its own.
func gather(t testing.TB, s *simulate.Server, function int, query string) (pages []rawAnswer) {
	t.Helper()
	for marker := 0; ; {
		a := read(t, s, function, query+"&marker="+strconv.Itoa(marker))
		if len(a.Invocations) == 0 {
			return pages
		}
		pages = append(pages, a)
		next, ok := a.next()
		if !ok || next <= marker {
			next = marker + len(a.Invocations)
		}
		marker = next
	}
}

// taken is the result of a walk.
type taken struct {
	records  map[string]dataset.Record
	rejected map[string]bool
	elements int
}

func take(t testing.TB, pages []rawAnswer) taken {
	t.Helper()
	got := taken{records: map[string]dataset.Record{}, rejected: map[string]bool{}}
	for _, p := range pages {
		for _, element := range p.Invocations {
			got.elements++
			if r, ok := parse(element); ok {
				got.records[r.RequestID] = r
			} else {
				got.rejected[string(element)] = true
			}
		}
	}
	return got
}

// parse reads a record. It returns false if the record cannot be stored in a row.
func parse(element json.RawMessage) (r dataset.Record, ok bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(element, &fields) != nil || fields == nil {
		return r, false
	}
	if json.Unmarshal(fields["request_id"], &r.RequestID) != nil || r.RequestID == "" || len(r.RequestID) > 64 {
		return r, false
	}
	var okStart, okEnd bool
	r.Start, okStart = parseTime(fields["start_time"])
	r.End, okEnd = parseTime(fields["end_time"])
	_ = json.Unmarshal(fields["status"], &r.Status)
	_ = json.Unmarshal(fields["error_message"], &r.ErrorMessage)
	r.ErrorMessage = strings.ReplaceAll(r.ErrorMessage, "\x00", "\uFFFD")
	r.ErrorCode, _ = strconv.Atoi(strings.Trim(string(fields["error_code"]), `"`))
	for _, name := range []string{"request_id", "status", "error_message", "start_time", "end_time", "error_code"} {
		delete(fields, name)
	}
	if len(fields) > 0 {
		extra, _ := json.Marshal(fields)
		r.Extra = string(extra)
	}
	return r, okStart && okEnd
}

func parseTime(raw json.RawMessage) (time.Time, bool) {
	if raw == nil {
		return time.Time{}, true
	}
	var text string
	_ = json.Unmarshal(raw, &text)
	for _, layout := range []string{"2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func truth(s *simulate.Server, function int) []dataset.Record {
	return slices.Collect(s.Truth(function))
}

func byID(records []dataset.Record) []dataset.Record {
	for i, r := range records {
		var extra map[string]json.RawMessage
		if json.Unmarshal([]byte(r.Extra), &extra) == nil {
			sorted, _ := json.Marshal(extra)
			records[i].Extra = string(sorted)
		}
	}
	slices.SortFunc(records, func(a, b dataset.Record) int { return cmp.Compare(a.RequestID, b.RequestID) })
	return records
}

// equal compares a walk of the first function with the server's Truth and Unusable.
func equal(t testing.TB, s *simulate.Server, got taken) {
	t.Helper()
	var records []dataset.Record
	for _, r := range got.records {
		records = append(records, r)
	}
	want := byID(truth(s, 0))
	if records = byID(records); !slices.Equal(want, records) {
		t.Errorf("(-truth +read):\n%.2000s", gocmp.Diff(want, records))
	}
	if want := s.Unusable(0); len(got.rejected) != want {
		t.Errorf("%d unusable records, want %d", len(got.rejected), want)
	}
}

// With any switches, a reader that reads on to an empty page gets the records of
// Truth.
func TestFaultsKeepTruth(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 500)
	for _, spec := range []string{
		"borders=none", "borders=left-open", "borders=right-open",
		"filter=end", "filter=creation", "order=oldest", "order=none",
		"marker=string", "marker=absent", "marker=zero", "marker=total", "marker=same", "marker=null", "marker=mixed",
		"count=absent", "count=null", "count=page", "count=mixed", "null-list", "cap=33",
		"code=string", "code=empty", "code=absent", "code=mixed",
		"times=z", "times=offset", "times=fraction", "times=mixed", "extra=0.5", "mix", "mix,marker=absent,count=page",
		"unusable=0.2", "unusable=1", "nul=0.5", "huge=0.002", "reversed", "statuses=0.5", "twice=0.3", "repeat=0.5",
		"filter=end,reversed=0.5,borders=none", "inflight=0.5", "inflight=1,filter=end", "retried=1", "late=48h,late-share=0.3",
		"mix,cap=50,order=none,filter=creation,unusable,nul,statuses,reversed,twice,repeat,inflight,retried,late=1m,late-share=0.5",
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			s, now := faulty(t, d, spec)
			moments := []time.Duration{0}
			if strings.Contains(spec, "inflight") || strings.Contains(spec, "retried") || strings.Contains(spec, "late") {
				moments = []time.Duration{0, 40 * time.Second, 90 * time.Second, 5 * time.Minute, 72 * time.Hour}
			}
			for _, later := range moments {
				now.Set(day.Add(24*time.Hour + time.Minute + later))
				equal(t, s, take(t, gather(t, s, 0, everything+"&limit=100")))
			}
		})
	}
}

// The same query gets the same answer, also from another server.
func TestFaultsRepeat(t *testing.T) {
	t.Parallel()
	const spec = "mix,order=none,unusable,nul,statuses,twice,repeat,drift=2,inflight,retried,429,500"
	var runs [2]string
	for n := range runs {
		s, now := faulty(t, generate(t, 1, 900), spec)
		for later := range 4 {
			now.Set(day.Add(24*time.Hour + time.Minute*time.Duration(1+later)))
			for marker := 0; marker < 1000; marker += 100 {
				w := get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[0].URN+"/async-invocations?"+everything+"&marker="+strconv.Itoa(marker))
				runs[n] += fmt.Sprintln(w.Code, w.Body)
			}
		}
	}
	if diff := gocmp.Diff(strings.Split(runs[0], "\n"), strings.Split(runs[1], "\n")); diff != "" {
		t.Errorf("(-first +second):\n%.2000s", diff)
	}
	if !strings.Contains(runs[0], "APIGW.0308") || !strings.Contains(runs[0], "FSS.0500") {
		t.Error("no call was disturbed")
	}
}
