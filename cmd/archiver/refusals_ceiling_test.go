package main

import (
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/simulate/dataset"
)

// perHour has so many records in each of these hours, spread over their minutes.
func perHour(hours map[int]int) func(minute int) int {
	return func(minute int) int {
		n, m := hours[minute/60], minute%60
		return n*(m+1)/60 - n*m/60
	}
}

// TestCeilings reads lists that end at some offset, whatever the source counts: every
// record is archived, or the hour is not complete.
func TestCeilings(t *testing.T) {
	t.Parallel()
	const page = 20
	hours := map[int]int{0: 1, 10: 60, 12: 5, 13: 5, 14: 5, 15: 5, 16: 5, 17: 5}
	spread := trace(t, day, traced{"busy", perHour(hours)}, traced{"quiet", perHour(map[int]int{0: 1})})
	// All records of the hour lie in one half: ceiling plus nothing is no proof.
	lopsided := trace(t, day, traced{"busy", inHour(10, 2)}, traced{"quiet", perHour(map[int]int{0: 1})})
	both, counted := []string{graph, compute}, []string{graph} // Function Compute counts nothing
	for _, c := range []struct {
		spec   string
		clouds []string
		data   map[string]*dataset.Data
	}{
		// Where the records lie matters to the sums, and not to how a list ends.
		{"ceiling=20", both, map[string]*dataset.Data{"spread": spread, "lopsided": lopsided}},
		{"ceiling=21", both, map[string]*dataset.Data{"spread": spread}},
		{"ceiling=33", both, map[string]*dataset.Data{"spread": spread, "lopsided": lopsided}},
		{"ceiling=40,ceiling-count=true", both, map[string]*dataset.Data{"spread": spread, "lopsided": lopsided}},
		{"ceiling=40,ceiling-count=true,beyond=400", both, map[string]*dataset.Data{"spread": spread, "lopsided": lopsided}},
		{"ceiling=45,ceiling-count=true,beyond=400-page", both, map[string]*dataset.Data{"spread": spread}},
		{"ceiling=40,count=absent", counted, map[string]*dataset.Data{"spread": spread, "lopsided": lopsided}},
		{"ceiling=40,count=absent,beyond=400", counted, map[string]*dataset.Data{"spread": spread}},
		{"ceiling=40,count=page,marker=absent", both, map[string]*dataset.Data{"spread": spread}},
		{"ceiling=25,order=oldest", both, map[string]*dataset.Data{"spread": spread}},
		{"ceiling=25,order=none", both, map[string]*dataset.Data{"spread": spread, "lopsided": lopsided}},
		{"ceiling=40,borders=none", both, map[string]*dataset.Data{"spread": spread, "lopsided": lopsided}},
		{"ceiling=40,only=0.1", both, map[string]*dataset.Data{"spread": spread}},
	} {
		for _, cloud := range c.clouds {
			for name, data := range c.data {
				t.Run(name+" "+cloud+" "+c.spec, func(t *testing.T) {
					t.Parallel()
					api := faulty(t, data, c.spec, nil)
					url := newServer(t, api)
					in := install(t, url)
					end := archiveIn(t, in.small(cloud, url, page, time.Minute), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
					endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 48}, nil})
					if n := questions(api); n > 150 {
						t.Errorf("%d questions for %d records", n, api.Functions()[0].Records)
					}
				})
			}
		}
	}
}

// TestCeilingOfTenThousand reads an hour of 25,020 records, and twelve hours of 2,000, of
// a source that gives nothing beyond offset 10,000.
func TestCeilingOfTenThousand(t *testing.T) {
	t.Parallel()
	large, many := map[int]int{0: 1, 10: 25_020}, map[int]int{0: 1}
	for hour := 8; hour < 20; hour++ {
		many[hour] = 2000
	}
	data := trace(t, day, traced{"large", perHour(large)}, traced{"many", perHour(many)})
	for _, spec := range []string{"ceiling=10000", "ceiling=10000,ceiling-count=true,beyond=400"} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			api := faulty(t, data, spec, nil)
			in := install(t, newServer(t, api))
			end := archiveDay(in, "", asBinary, theDaySpan())
			endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 48}, nil})
			// 25,020 and 24,001 records are 100 pages. Both functions find the ceiling, 20 pages each.
			if n := questions(api); n > 220 {
				t.Errorf("%d questions", n)
			}
			code, stdout, stderr := in.run(quickly, "verify", "--from", "2026-03-29", "--to", "2026-03-30")
			if code != exitDone || !strings.Contains(stdout, "48 windows compared, 0 differ") {
				t.Errorf("verify: exit %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// TestDenseSeconds reads a minute whose seconds have more records than a page. Where the
// source cuts a single second off, nothing smaller can be asked, and the hour is not
// complete.
func TestDenseSeconds(t *testing.T) {
	t.Parallel()
	dense := func(minute int) int {
		switch minute {
		case 30:
			return 1
		case 10*60 + 30:
			return 80
		}
		return 0
	}
	data := trace(t, day, traced{"dense", dense}, traced{"quiet", perHour(map[int]int{0: 1})})
	for _, cloud := range []string{graph, compute} {
		specs := []string{"cap=500", "ceiling=2", "ceiling=3,ceiling-count=true", "ceiling=3,ceiling-count=true,beyond=400"}
		if cloud == graph {
			specs = append(specs, "ceiling=3") // Function Compute counts nothing
		}
		for _, spec := range specs {
			t.Run(cloud+" "+spec, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, data, spec, nil)
				url := newServer(t, api)
				in := install(t, url)
				archiver := in.small(cloud, url, 2, time.Minute)
				var end ending
				for range 2 {
					end = archiveIn(t, archiver, archive.Order{AskedBy: "backfill", Range: theDaySpan()})
				}
				if spec == "cap=500" && cloud == graph {
					// The count of a single second may be a ceiling: all records are there, and
					// the hour need not be complete.
					if missing := lostRecords(in, api); len(missing) > 0 {
						t.Errorf("lost: %v", missing)
					}
					return
				}
				if spec == "cap=500" {
					endedAs(in, api, end, ended{exitDone, map[string]int64{"complete": 48}, nil})
					return
				}
				if missing := lostRecords(in, api); end.code != exitIncomplete || missing["complete"] > 0 || len(missing) == 0 {
					t.Errorf("exit %d, lost: %v", end.code, missing)
				}
				if states := counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`); states["complete"] != 47 {
					t.Errorf("windows %v", states)
				}
			})
		}
	}
}
