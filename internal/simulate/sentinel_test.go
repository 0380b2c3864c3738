package simulate_test

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// A time that a record does not have is written in each way, on both clouds' APIs.
func TestSentinels(t *testing.T) {
	t.Parallel()
	const total = 300
	d := generate(t, 1, total)
	for none, c := range map[string]struct{ graph, compute string }{
		"epoch":   {`"1970-01-01T00:00:00"`, "0"},
		"minus-1": {`"1969-12-31T23:59:59"`, "-1"},
		"year-1":  {`"0001-01-01T00:00:00"`, "-62135596800000"},
		"zero":    {`"0000-00-00T00:00:00"`, "0"},
		"max":     {`"9999-12-31T23:59:59"`, "253402300799000"},
		"empty":   {`""`, `""`},
		"null":    {"null", "null"},
	} {
		s, now := faulty(t, d, "untimed=1,none="+none)
		count := func(pattern string, list []string) (n int) {
			r := regexp.MustCompile(pattern)
			for _, e := range list {
				n += len(r.FindAllString(e, -1))
			}
			return n
		}
		graph := elements(t, s)
		if n := count(`_time":`, graph); n != 2*total {
			t.Errorf("%s: %d times", none, n)
		}
		if n := count(`"(start|end)_time":`+regexp.QuoteMeta(c.graph)+"[,}]", graph); n < total*5/4 || n > total*3/2 {
			t.Errorf("%s: %d times of %d records are missing", none, n, total)
		}
		records, _ := readStateful(t, s, s.Functions()[0].Name, "limit=100", now.Now())
		var compute []string
		for _, r := range records {
			compute = append(compute, string(r))
		}
		if n := count(`"(startedTime|endTime)":`+regexp.QuoteMeta(c.compute)+"[,}]", compute); n < total*5/4 || n > total*3/2 {
			t.Errorf("%s: %d times of %d records are missing at Function Compute", none, n, total)
		}
		bare := 0
		for _, r := range truth(s, 0) {
			if r.Start.IsZero() || r.End.IsZero() {
				bare++
			}
		}
		if bare != total {
			t.Errorf("%s: %d true records lack a time", none, bare)
		}
	}
	s, _ := faulty(t, d, "untimed=1")
	equal(t, s, take(t, gather(t, s, 0, everything)))
}

// Statuses in other case and with blanks, and statuses that nobody knows while a record
// has no end.
func TestSpelling(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 300)
	s, now := faulty(t, d, "spelling=loose")
	plain := 0
	for _, r := range truth(s, 0) {
		word := strings.ToUpper(strings.TrimSpace(string(r.Status)))
		if word != "SUCCESS" && word != "FAIL" && word != "DISCARD" {
			t.Errorf("%q", r.Status)
		}
		if word == string(r.Status) {
			plain++
		}
	}
	if plain > 100 {
		t.Errorf("%d of 300 statuses are as in the pages", plain)
	}
	equal(t, s, take(t, gather(t, s, 0, everything)))
	records, _ := readStateful(t, s, s.Functions()[0].Name, "limit=100", now.Now())
	if len(records) != 300 || !strings.Contains(string(records[0])+string(records[1])+string(records[2])+string(records[3]), "ucceeded") {
		t.Errorf("%d records: %s", len(records), records[0])
	}

	s, now = faulty(t, d, "spelling=unknown,inflight=1,stage=10m")
	unknown := func() (n int) {
		for _, r := range truth(s, 0) {
			switch r.Status {
			case "WAIT", "RUNNING":
				t.Errorf("%s is as in the pages", r.Status)
			case "SUCCESS", "FAIL", "DISCARD":
			default:
				n++
				if !r.End.IsZero() {
					t.Errorf("%+v has an end", r)
				}
			}
		}
		return n
	}
	if n := unknown(); n != 300 {
		t.Errorf("%d unknown statuses", n)
	}
	equal(t, s, take(t, gather(t, s, 0, everything)))
	now.Set(now.Now().Add(time.Hour))
	if n := unknown(); n != 0 {
		t.Errorf("%d unknown statuses once all have settled", n)
	}
}
