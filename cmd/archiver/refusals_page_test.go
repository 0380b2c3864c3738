package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/simulate"
)

// TestFailingPages reads sources that fail on large pages, on slow ones, or on one
// offset: the page gets smaller, or the span, and everything is archived.
func TestFailingPages(t *testing.T) {
	t.Parallel()
	const page = 50
	data := trace(t, day, traced{"busy", perHour(map[int]int{0: 5, 10: 300, 12: 5})}, traced{"quiet", perHour(map[int]int{0: 1, 3: 1})})
	for _, c := range []struct {
		spec    string
		calls   map[string]int // lists of Function Compute are read from both ends
		timeout time.Duration
	}{
		{"page-bytes=8000", map[string]int{graph: 80, compute: 160}, time.Minute},
		{"page-bytes=1000", map[string]int{graph: 400, compute: 1000}, time.Minute},
		{"bad-offset=30", map[string]int{graph: 100, compute: 500}, time.Minute},
		{"bad-offset=130", map[string]int{graph: 150, compute: 400}, time.Minute},
		{"record-cost=8ms", map[string]int{graph: 100, compute: 200}, 250 * time.Millisecond},
	} {
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+c.spec, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, data, c.spec, nil)
				url := newServer(t, api)
				in := install(t, url)
				end := archiveIn(t, in.small(cloud, url, page, c.timeout), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
				endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 48}, nil})
				if n, most := questions(api), c.calls[cloud]; n > most {
					t.Errorf("%d questions, want at most %d", n, most)
				}
			})
		}
	}
}

// badRecords is how many records of a function cannot be read, even by themselves.
func badRecords(t testing.TB, api *simulate.Server, function int) (n int) {
	t.Helper()
	info := api.Functions()[function]
	for marker := range info.Records {
		r := httptest.NewRequest(http.MethodGet, "/v2/"+simulate.DefaultProjectID+"/fgs/functions/"+info.URN+
			"/async-invocations?query_begin_time=2026-01-01T00:00:00&query_end_time=2026-12-31T00:00:00&limit=1&marker="+strconv.Itoa(marker), nil)
		r.Header.Set("X-Auth-Token", testToken)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			n++
		}
	}
	return n
}

// TestBadRecords reads a source that fails on some records, in pages of any size: all
// others are archived, and the hours of the bad ones say which seconds failed.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	const page = 50
	data := trace(t, day, traced{"busy", perHour(map[int]int{0: 5, 10: 300, 12: 5})}, traced{"quiet", perHour(map[int]int{0: 1, 3: 1})})
	for _, cloud := range []string{graph, compute} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			const spec = "bad-records=0.008,only=0.1"
			bad := badRecords(t, faulty(t, data, spec, nil), 0) + badRecords(t, faulty(t, data, spec, nil), 1)
			if bad < 2 || bad > 4 {
				t.Fatalf("%d bad records", bad)
			}
			api := faulty(t, data, spec, nil)
			url := newServer(t, api)
			in := install(t, url)
			archiver := in.small(cloud, url, page, time.Minute)
			end := archiveIn(t, archiver, archive.Order{AskedBy: "backfill", Range: theDaySpan()})
			endedAs(in, api, end, ended{exitIncomplete, map[string]int64{"complete": 47, "failed": 1}, lost{"failed": bad}})
			// At most 100 calls are spent, each of which may be tried twice.
			if n := questions(api); n > 300 {
				t.Errorf("%d questions", n)
			}
			if n := queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE state = 'failed' AND refused_to - refused_from <= '2 seconds'`); n != 1 {
				t.Error("the failed hour does not name two seconds")
			}
		})
	}
}

// TestRefusedTogether reads sources that do several of these things at once.
func TestRefusedTogether(t *testing.T) {
	t.Parallel()
	data := trace(t, day, traced{"busy", perHour(map[int]int{0: 5, 10: 200, 12: 5})}, traced{"quiet", perHour(map[int]int{0: 1, 3: 1})})
	for _, spec := range []string{
		"ceiling=66,range=7h,page-bytes=8000,trouble=0.05,hang=0",
		"ceiling=80,ceiling-count=true,beyond=400,range=13h,range-status=504,envelope=0.1,spelling=loose",
		"ceiling=70,order=none,mix,marker=absent,count=total,bad-offset=60,trouble=0.05,hang=0",
	} {
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+spec, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, data, spec, nil)
				url := newServer(t, api)
				in := install(t, url)
				end := archiveIn(t, in.small(cloud, url, 50, time.Minute), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
				endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 48}, nil})
				if n := questions(api); n > 500 {
					t.Errorf("%d questions", n)
				}
			})
		}
	}
}
