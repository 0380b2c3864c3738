package simulate_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

const stamp = "2006-01-02T15:04:05"

func during(begin, end time.Time) string {
	return "limit=500&query_begin_time=" + begin.Format(stamp) + "&query_end_time=" + end.Format(stamp)
}

// ids are the request ids of a whole list, in its order.
func ids(t testing.TB, s *simulate.Server, query string) (list []string) {
	t.Helper()
	for _, page := range gather(t, s, 0, query) {
		for _, element := range page.Invocations {
			r, _ := parse(element)
			list = append(list, r.RequestID)
		}
	}
	return list
}

func idsOf(records []dataset.Record) (list []string) {
	for _, r := range records {
		list = append(list, r.RequestID)
	}
	return list
}

func TestFaultBorders(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 3000)
	records := slices.Collect(d.Records(0))
	begin, end := records[1000].Start, records[1200].Start
	for spec, c := range map[string]struct{ begin, end bool }{
		"borders=both":       {true, true},
		"borders=none":       {false, false},
		"borders=left-open":  {false, true},
		"borders=right-open": {true, false},
	} {
		s, _ := faulty(t, d, spec)
		var want []string
		for _, r := range slices.Backward(records) {
			after := r.Start.After(begin) || c.begin && r.Start.Equal(begin)
			before := r.Start.Before(end) || c.end && r.Start.Equal(end)
			if after && before {
				want = append(want, r.RequestID)
			}
		}
		if diff := cmp.Diff(want, ids(t, s, during(begin, end))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", spec, diff)
		}
	}
}

func TestFaultFilter(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 3000)
	records := slices.Collect(d.Records(0))
	at := records[1500]

	byEnd, _ := faulty(t, d, "filter=end")
	var want []string
	for _, r := range records {
		if r.End.Equal(at.End) {
			want = append(want, r.RequestID)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(ids(t, byEnd, during(at.End, at.End))))); diff != "" {
		t.Errorf("by end (-want +got):\n%s", diff)
	}

	// A record is found by exactly one second before its start.
	byCreation, _ := faulty(t, d, "filter=creation")
	before := 0
	for _, r := range records[1500:1510] {
		query := during(r.Start.Add(-11*time.Minute), r.Start) + "&request_id=" + r.RequestID
		if n := len(read(t, byCreation, 0, query).Invocations); n != 1 {
			t.Errorf("%s: found %d times in the minutes before its start", r.RequestID, n)
		}
		before += len(read(t, byCreation, 0, during(r.Start.Add(-11*time.Minute), r.Start.Add(-time.Second))+"&request_id="+r.RequestID).Invocations)
	}
	if before == 0 {
		t.Error("all are created when they start")
	}
}

func TestFaultOrder(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1200)
	oldest := idsOf(slices.Collect(d.Records(0)))
	first, _ := faulty(t, d, "order=oldest")
	if diff := cmp.Diff(oldest, ids(t, first, everything+"&limit=70")); diff != "" {
		t.Errorf("oldest first (-want +got):\n%s", diff)
	}
	mixed, _ := faulty(t, d, "order=none")
	list := ids(t, mixed, everything+"&limit=70")
	if diff := cmp.Diff(list, ids(t, mixed, everything+"&limit=500")); diff != "" {
		t.Errorf("in no order, by another limit (-70 +500):\n%s", diff)
	}
	if slices.Equal(list, oldest) {
		t.Error("in no order: the oldest first")
	}
	slices.Reverse(list)
	if slices.Equal(list, oldest) {
		t.Error("in no order: the newest first")
	}
}

func TestFaultCap(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, generate(t, 1, 250), "cap=100")
	for marker, want := range map[int]int{0: 100, 100: 100, 200: 50} {
		a := read(t, s, 0, everything+"&limit=500&marker="+strconv.Itoa(marker))
		if len(a.Invocations) != want || string(a.Count) != "250" {
			t.Errorf("at %d: %d of %s records, want %d", marker, len(a.Invocations), a.Count, want)
		}
	}
	if a := read(t, s, 0, everything+"&limit=30"); len(a.Invocations) != 30 {
		t.Errorf("%d records, asked for 30", len(a.Invocations))
	}
}

// next_marker, count and the empty list in each of their formats. 250 records make
// pages of 100, 100 and 50.
func TestFaultMarkersAndCounts(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 250)
	const absent = ""
	for spec, want := range map[string][3][2]string{ // next_marker and count of the three pages
		"marker=int":    {{"100", "250"}, {"200", "250"}, {absent, "250"}},
		"marker=string": {{`"100"`, "250"}, {`"200"`, "250"}, {absent, "250"}},
		"marker=absent": {{absent, "250"}, {absent, "250"}, {absent, "250"}},
		"marker=zero":   {{"100", "250"}, {"200", "250"}, {"0", "250"}},
		"marker=total":  {{"100", "250"}, {"200", "250"}, {"250", "250"}},
		"marker=same":   {{"100", "250"}, {"200", "250"}, {"200", "250"}},
		"marker=null":   {{"100", "250"}, {"200", "250"}, {"null", "250"}},
		"count=absent":  {{"100", absent}, {"200", absent}, {absent, absent}},
		"count=null":    {{"100", "null"}, {"200", "null"}, {absent, "null"}},
		"count=page":    {{"100", "100"}, {"200", "100"}, {absent, "50"}},
	} {
		s, _ := faulty(t, d, spec)
		for n, c := range want {
			a := read(t, s, 0, everything+"&limit=100&marker="+strconv.Itoa(100*n))
			if got := [2]string{string(a.Next), string(a.Count)}; got != c {
				t.Errorf("%s, page %d: %q, want %q", spec, n, got, c)
			}
		}
	}
	mixed, _ := faulty(t, d, "marker=mixed,count=mixed")
	markers, counts := map[string]bool{}, map[string]bool{}
	for limit := 1; limit <= 40; limit++ {
		a := read(t, mixed, 0, everything+"&marker=249&limit="+strconv.Itoa(limit))
		markers[string(a.Next)], counts[string(a.Count)] = true, true
	}
	if diff := cmp.Diff(map[string]bool{absent: true, "0": true, "250": true, "249": true, "null": true}, markers); diff != "" {
		t.Errorf("mixed markers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{absent: true, "1": true, "250": true, "null": true}, counts); diff != "" {
		t.Errorf("mixed counts (-want +got):\n%s", diff)
	}
	list := func(spec string) string {
		s, _ := faulty(t, d, spec)
		return get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[0].URN+"/async-invocations?query_begin_time=2026-03-15T00:00:00").Body.String()
	}
	if got, want := list("null-list"), `{"invocations":null,"count":0}`; got != want {
		t.Errorf("empty list: %s, want %s", got, want)
	}
}
