package simulate_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// elements are all elements of a list, as sent.
func elements(t testing.TB, s *simulate.Server) (list []string) {
	t.Helper()
	for _, page := range gather(t, s, 0, everything+"&limit=500") {
		for _, element := range page.Invocations {
			list = append(list, string(element))
		}
	}
	return list
}

// Each switch damages about its share of the records, as its help says.
func TestFaultElements(t *testing.T) {
	t.Parallel()
	const total = 1000
	d := generate(t, 1, total)
	lists := map[string][]string{}
	for _, c := range []struct {
		spec, pattern string
		least, most   int
	}{
		{"code=int", `"error_code":\d+[,}]`, total, total},
		{"code=string", `"error_code":"\d+"`, total, total},
		{"code=string", `"error_code":"0"`, 500, total - 1},
		{"code=empty", `"error_code":""`, 500, total - 1},
		{"code=empty", `"error_code":"[1-9]`, 1, 500},
		{"code=absent", `"error_code":[1-9]`, 1, 500},
		{"code=absent", `"error_code":0`, 0, 0},
		{"code=mixed", `"error_code":0`, 150, 350},
		{"code=mixed", `"error_code":""`, 150, 350},
		{"times=plain", `_time":"[-0-9T:]{19}","end_time":"[-0-9T:]{19}"`, total, total},
		{"times=z", `_time":"[-0-9T:]{19}Z","end_time":"[-0-9T:]{19}Z"`, total, total},
		{"times=offset", `_time":"[-0-9T:]{19}\+08:00","end_time":"[-0-9T:]{19}\+08:00"`, 200, 500},
		{"times=offset", `_time":"[-0-9T:]{19}-03:30"`, 200, 500},
		{"times=offset", `_time":"[-0-9T:]{19}\+00:00"`, 200, 500},
		{"times=fraction", `_time":"[-0-9T:]{19}\.\d{6}","end_time":"[-0-9T:]{19}\.\d{6}"`, total, total},
		{"times=fraction", `\.\d{3}000"`, 400, 600},
		{"times=mixed", `_time":"[-0-9T:]{19}","end`, 150, 350},
		{"times=mixed", `_time":"[-0-9T:]{19}Z","end`, 150, 350},
		{"extra=0.3", `"tag":null`, 200, 400},
		{"mix", `"tag":null`, 200, 400},
		{"nul=0.5", `NUL \\u0000, halves \\ud83d and`, 400, 600},
		{"statuses", `"status":"(RETRYING|Succeeded|success|TIMEOUT|执行中| |INTERNAL/2 \\"quoted\\")"`, 50, 150},
		{"unusable=0.6", `^\{"log_id":"[^"]{36}","status"`, 70, 130},
		{"unusable=0.6", `"request_id":""`, 70, 130},
		{"unusable=0.6", `"request_id":"[^"]{65,}"`, 70, 130},
		{"unusable=0.6", `"request_id":\d+,`, 70, 130},
		{"unusable=0.6", `"start_time":"(2026-02-30T10:00:00|2026-13-01T00:00:00|2026-00-10T00:00:00|2026-03-14T25:61:00|yesterday|-)"`, 70, 130},
		{"unusable=0.6", `^"`, 15, 60},
		{"unusable=0.6", `^\[`, 15, 60},
		{"unusable=0.6", `^\d`, 15, 60},
	} {
		if lists[c.spec] == nil {
			s, _ := faulty(t, d, c.spec)
			lists[c.spec] = elements(t, s)
		}
		pattern, found := regexp.MustCompile(c.pattern), 0
		for _, e := range lists[c.spec] {
			if pattern.MatchString(e) {
				found++
			}
		}
		if found < c.least || found > c.most {
			t.Errorf("%s: %d elements are %s, want %d to %d", c.spec, found, c.pattern, c.least, c.most)
		}
	}
}

func TestFaultUnusable(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, generate(t, 1, 1000), "unusable=0.5")
	list := elements(t, s)
	slices.Sort(list)
	if n := len(slices.Compact(list)); n != 1000 {
		t.Errorf("%d different elements, want 1000", n)
	}
	if n := s.Unusable(0); n < 400 || n > 600 || n+len(truth(s, 0)) != 1000 {
		t.Errorf("%d unusable records and %d others", n, len(truth(s, 0)))
	}
}

func TestFaultTimes(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 300)
	plain := map[string]dataset.Record{}
	for r := range d.Records(0) {
		plain[r.RequestID] = r
	}
	reversed, _ := faulty(t, d, "reversed=1")
	for r := range reversed.Truth(0) {
		if p := plain[r.RequestID]; !r.End.Before(r.Start) || !r.Start.Equal(p.Start) {
			t.Errorf("reversed: %s to %s", r.Start, r.End)
		}
	}
	fraction, _ := faulty(t, d, "times=fraction")
	for r := range fraction.Truth(0) {
		p := plain[r.RequestID]
		if later := r.Start.Sub(p.Start); later < 0 || later >= time.Second || r.End.Sub(p.End) != later {
			t.Errorf("fraction: %s to %s, want the second of %s to %s", r.Start, r.End, p.Start, p.End)
		}
	}
}

func TestFaultHuge(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, generate(t, 1, 3), "huge=1")
	for r := range s.Truth(0) {
		if len(r.ErrorMessage) != 1<<20 {
			t.Errorf("a message of %d bytes", len(r.ErrorMessage))
		}
	}
	equal(t, s, take(t, gather(t, s, 0, everything)))
}

func TestFaultTwiceAndRepeat(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 1000)
	twice, _ := faulty(t, d, "twice=0.3")
	a := gather(t, twice, 0, everything+"&limit=100")
	got := take(t, a)
	if n := got.elements; n < 1200 || n > 1400 || string(a[0].Count) != jsonNumber(n) {
		t.Errorf("%d elements, count %s", n, a[0].Count)
	}
	equal(t, twice, got)

	repeat, _ := faulty(t, d, "repeat=0.5")
	pages := gather(t, repeat, 0, everything+"&limit=50")
	repeated := 0
	for n := 1; n < len(pages); n++ {
		before := pages[n-1].Invocations
		if bytes.Equal(before[len(before)-1], pages[n].Invocations[0]) {
			repeated++
		}
	}
	got = take(t, pages)
	if repeated < 4 || repeated > 16 || got.elements != 1000+repeated || string(pages[0].Count) != "1000" {
		t.Errorf("%d of %d pages repeat a record, %d elements, count %s", repeated, len(pages), got.elements, pages[0].Count)
	}
	equal(t, repeat, got)
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// An unusable record is not found by its id; any other record is.
func TestFaultLookup(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 200)
	s, _ := faulty(t, d, "unusable=0.5,order=none,statuses=0.5")
	found := 0
	for r := range d.Records(0) {
		for _, element := range read(t, s, 0, everything+"&request_id="+r.RequestID).Invocations {
			if !strings.Contains(string(element), r.RequestID) {
				t.Errorf("asked for %s, got %s", r.RequestID, element)
			}
			found++
		}
	}
	if want := len(truth(s, 0)); found != want {
		t.Errorf("%d records found, want %d", found, want)
	}
}
