package simulate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"archiver/internal/simulate"
)

// askDay makes a call for a function's records in a range of the day and returns the answer.
func askDay(s *simulate.Server, function int, from, to time.Duration, rest string) *httptest.ResponseRecorder {
	const layout = "2006-01-02T15:04:05"
	return get(s, "/v2/"+projectID+"/fgs/functions/"+s.Functions()[function].URN+"/async-invocations?query_begin_time="+
		day.Add(from).Format(layout)+"&query_end_time="+day.Add(to).Format(layout)+rest)
}

const all = 24 * time.Hour

// A ceiling cuts the list off, at any number, with a count that tells it or not.
func TestCeiling(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1000)
	for _, c := range []struct {
		spec         string
		count, given int
		refused      int // the first offset that is refused, for pages of 100; 0 for none
	}{
		{spec: "ceiling=300", count: 300, given: 300},
		{spec: "ceiling=250", count: 250, given: 250},
		{spec: "ceiling=300,ceiling-count=true", count: 1000, given: 300},
		{spec: "ceiling=300,ceiling-count=true,beyond=400", count: 1000, given: 300, refused: 300},
		{spec: "ceiling=250,ceiling-count=true,beyond=400", count: 1000, given: 250, refused: 250},
		{spec: "ceiling=250,ceiling-count=true,beyond=400-page", count: 1000, given: 200, refused: 200},
		{spec: "ceiling=1000,beyond=400-page", count: 1000, given: 1000},
		{spec: "ceiling=2000,beyond=400", count: 1000, given: 1000},
		{spec: "ceiling=300,count=absent", count: 0, given: 300},
	} {
		s, now := faulty(t, d, c.spec)
		given := 0
		for given < 1000 {
			w := askDay(s, 0, 0, all, "&limit=100&marker="+strconv.Itoa(given))
			if w.Code != http.StatusOK {
				if w.Code != 400 || given != c.refused {
					t.Errorf("%s: offset %d is answered %d %s", c.spec, given, w.Code, w.Body)
				}
				break
			}
			a := read(t, s, 0, everything+"&limit=100&marker="+strconv.Itoa(given))
			if count, _ := strconv.Atoi(string(a.Count)); count != c.count {
				t.Errorf("%s: offset %d: count %s", c.spec, given, a.Count)
			}
			if len(a.Invocations) == 0 {
				break
			}
			given += len(a.Invocations)
		}
		if given != c.given {
			t.Errorf("%s: %d records, want %d", c.spec, given, c.given)
		}
		if n := len(truth(s, 0)); n != 1000 {
			t.Errorf("%s: the truth is %d records", c.spec, n)
		}

		if strings.Contains(c.spec, "ceiling=1000") {
			continue // the pages of Function Compute are not whole, so that one may end after it
		}
		records, refused := readStateful(t, s, s.Functions()[0].Name, "limit=100", now.Now())
		if (refused != nil) != (c.refused > 0) || refused == nil && len(records) != c.given {
			t.Errorf("%s: Function Compute gives %d records, refused: %v", c.spec, len(records), refused)
		}
	}
}

// A ceiling can concern one function alone.
func TestOnly(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, generate(t, 5, 5000), "ceiling=20,only=0.1,gone=0.1")
	limited := 0
	for i, f := range s.Functions() {
		if f.Gone {
			continue
		}
		if n := len(take(t, gather(t, s, i, everything+"&limit=500")).records); n == 20 && f.Records > 20 {
			limited++
		} else if n != f.Records {
			t.Errorf("%s: %d of %d records", f.Name, n, f.Records)
		}
	}
	if limited != 1 {
		t.Errorf("%d functions have the ceiling, want 1", limited)
	}
}

// Ranges, old records and single seconds are refused on both clouds' APIs.
func TestRefusedRanges(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1000)
	const h = time.Hour
	for _, c := range []struct {
		spec     string
		from, to time.Duration
		want     int
	}{
		{"range=12h", 0, 12 * h, 200},
		{"range=12h", 0, 12*h + time.Second, 400},
		{"range=12h,range-status=504", 0, 13 * h, 504},
		// The clock is a minute after the day.
		{"keeps=1d", time.Minute, 2 * h, 200},
		{"keeps=1d", 0, 2 * h, 400},
		{"keeps=1d,keeps-answer=empty", 0, 2 * h, 200},
		{"bad-seconds=02:30:00", 2*h + 30*time.Minute, 3 * h, 400},
		{"bad-seconds=02:30:00", 2 * h, 2*h + 30*time.Minute, 400},
		{"bad-seconds=02:30:00", 2*h + 30*time.Minute + time.Second, 24*h + 2*h, 200},
		{"bad-seconds=02:30:00", 3 * h, 24*h + 3*h, 400},
		{"bad-seconds=02:30:00", 3 * h, 100 * h, 400},
		{"bad-seconds=02:30:00,borders=right-open", 2 * h, 2*h + 30*time.Minute, 200},
		{"bad-seconds=02:30:00,borders=right-open", 2*h + 30*time.Minute, 3 * h, 400},
		{"bad-seconds=2026-03-14T02:30:00", 0, 3 * h, 400},
		{"bad-seconds=2026-03-15T02:30:00", 0, 3 * h, 200},
		{"bad-seconds=02:30:00+14:00:01", 13 * h, 15 * h, 400},
	} {
		s, now := faulty(t, d, c.spec)
		if w := askDay(s, 0, c.from, c.to, ""); w.Code != c.want {
			t.Errorf("%s: %s to %s: %d %s, want %d", c.spec, c.from, c.to, w.Code, w.Body, c.want)
		}
		query := "limit=100&startedTimeBegin=" + milliseconds(c.from) + "&startedTimeEnd=" + milliseconds(c.to)
		if w := getCompute(s, statefulPath(s.Functions()[0].Name, query), "n", now.Now()); w.Code != c.want {
			t.Errorf("%s: %s to %s at Function Compute: %d %s, want %d", c.spec, c.from, c.to, w.Code, w.Body, c.want)
		}
	}
}

func milliseconds(since time.Duration) string {
	return strconv.FormatInt(day.Add(since).UnixMilli(), 10)
}

// A source that answers empty for what it has forgotten forgets more as time passes.
func TestForgets(t *testing.T) {
	t.Parallel()
	s, now := faulty(t, generate(t, 1, 1000), "keeps=1d,keeps-answer=empty")
	count := func() int { return len(take(t, gather(t, s, 0, everything)).records) }
	first := count()
	now.Set(now.Now().Add(12 * time.Hour))
	second := count()
	now.Set(now.Now().Add(12 * time.Hour))
	if last := count(); first < 990 || second > 900 || second == 0 || last != 0 {
		t.Errorf("%d, %d, %d records of 1000", first, second, last)
	}
	if n := len(truth(s, 0)); n != 1000 {
		t.Errorf("the truth is %d records", n)
	}
}

// Pages fail by their size, by a record that they hold, or by an offset; smaller pages
// are answered.
func TestFailingPages(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1000)
	for _, c := range []struct {
		spec         string
		marker, size int
		want         int
	}{
		{"page-bytes=20000", 0, 500, 500},
		{"page-bytes=20000", 0, 50, 200},
		{"bad-offset=120", 100, 100, 500},
		{"bad-offset=120", 100, 20, 200},
		{"bad-offset=120", 100, 21, 500},
		{"bad-offset=120", 120, 1, 500},
		{"bad-offset=120", 121, 300, 200},
		{"bad-records=1", 0, 1, 500},
		{"bad-records=1", 1000, 1, 200},
	} {
		s, _ := faulty(t, d, c.spec)
		if w := askDay(s, 0, 0, all, "&limit="+strconv.Itoa(c.size)+"&marker="+strconv.Itoa(c.marker)); w.Code != c.want {
			t.Errorf("%s: %d from %d on: %d %s", c.spec, c.size, c.marker, w.Code, w.Body)
		}
	}
	s, now := faulty(t, d, "page-bytes=20000")
	if _, refused := readStateful(t, s, s.Functions()[0].Name, "limit=100", now.Now()); refused == nil || refused.Code != 500 {
		t.Errorf("Function Compute: %v", refused)
	}
	if records, refused := readStateful(t, s, s.Functions()[0].Name, "limit=20", now.Now()); refused != nil || len(records) != 1000 {
		t.Errorf("Function Compute: %d records, %v", len(records), refused)
	}

	// One record in ten is bad, and always the same ones.
	s, _ = faulty(t, d, "bad-records=0.1")
	var bad strings.Builder
	for marker := range 1000 {
		if w := askDay(s, 0, 0, all, "&limit=1&marker="+strconv.Itoa(marker)); w.Code != 200 {
			bad.WriteString(strconv.Itoa(marker) + " ")
		}
	}
	if n := strings.Count(bad.String(), " "); n < 60 || n > 140 {
		t.Errorf("%d bad records: %s", n, bad.String())
	}
}

// A page takes as long as its records, unless the client gives up.
func TestRecordCost(t *testing.T) {
	t.Parallel()
	var waited time.Duration
	s, _ := serve(t, generate(t, 1, 1000), with(t, "record-cost=10ms"), func(o *simulate.Options) {
		o.Sleep = func(_ context.Context, d time.Duration) error {
			waited += d
			return nil
		}
	})
	read(t, s, 0, everything+"&limit=200")
	if waited != 2*time.Second {
		t.Errorf("waited %s", waited)
	}
}
