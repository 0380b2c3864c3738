package main

import (
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
	"archiver/internal/archive/clocktest"
	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// permissions are what a refused call lacks.
var permissions = map[string]string{graph: "FunctionGraph ReadOnlyAccess", compute: "fc:ListStatefulAsyncInvocations"}

// TestOneFunctionRefused reads sources that refuse some of their functions: these have
// failed, with the name of the permission, and all others are archived.
func TestOneFunctionRefused(t *testing.T) {
	t.Parallel()
	many, few := generated(t, 60, 900, 7), generated(t, 15, 225, 7)
	for _, c := range []struct {
		spec    string
		data    *dataset.Data
		refused int // functions
		says    map[string]string
	}{
		{"broken=0.01,broken-answer=403", many, 1, permissions},
		{"broken=0.01,broken-answer=401", many, 1, permissions},
		{"broken=0.2,broken-answer=403", many, 12, permissions},
		{"broken=0.01,broken-answer=500", few, 1, map[string]string{graph: "500 FSS.0500", compute: "500 InternalServerError"}},
		{"broken=0.01,broken-answer=envelope", few, 1, map[string]string{graph: "FSS.0500", compute: "InternalServerError"}},
		{"broken=0.01,broken-answer=envelope,envelope-list", few, 1, map[string]string{graph: "FSS.0500", compute: "InternalServerError"}},
		{"broken=0.01,broken-answer=envelope,envelope-list,envelope-error=denied", few, 1, permissions},
		{"broken=0.01,broken-answer=hollow", few, 1, nil},
	} {
		functions := len(c.data.Functions())
		for _, cloud := range []string{graph, compute} {
			t.Run(cloud+" "+c.spec, func(t *testing.T) {
				t.Parallel()
				api := faulty(t, c.data, c.spec, nil)
				url := newServer(t, api)
				in := install(t, url)
				end := archiveIn(t, in.small(cloud, url, 0, time.Minute), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
				endedAs(in, api, end, ended{exitIncomplete, map[string]int64{"complete": int64(24 * (functions - c.refused)), "failed": int64(24 * c.refused)}, nil})
				if !strings.Contains(end.stderr, c.says[cloud]) {
					t.Errorf("standard error does not name %s: %s", c.says[cloud], end.stderr)
				}
				// Nothing of a refused function is split.
				if n, most := questions(api), 2*(functions+10*c.refused); n > most {
					t.Errorf("%d questions, want at most %d", n, most)
				}
			})
		}
	}
}

// TestAllFunctionsRefused reads a source that lists its functions and refuses each of
// them: a few are asked, the permission is named once, and no other window has failed.
func TestAllFunctionsRefused(t *testing.T) {
	t.Parallel()
	data := generated(t, 60, 600, 7)
	for _, cloud := range []string{graph, compute} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			api := faulty(t, data, "broken=1,broken-answer=403", nil)
			url := newServer(t, api)
			in := install(t, url)
			end := archiveIn(t, in.small(cloud, url, 0, time.Minute), archive.Order{AskedBy: "backfill", Range: theDaySpan()})
			if end.code != exitIncomplete || strings.Count(end.stderr, permissions[cloud]) != 1 {
				t.Errorf("exit %d: %s", end.code, end.stderr)
			}
			states := counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`)
			if states["complete"] > 0 || states["failed"] > 30*24 || states["pending"] < 30*24 {
				t.Errorf("windows %v", states)
			}
			if n := questions(api); n > 100 {
				t.Errorf("%d questions", n)
			}
		})
	}
}

// TestDeletedFunctions archives functions of which one is deleted: it answers 404 with
// one of the known codes, or something that tells less once the list leaves it out.
func TestDeletedFunctions(t *testing.T) {
	t.Parallel()
	many, few := generated(t, 40, 800, 7), generated(t, 10, 200, 7)
	for _, c := range []struct {
		answer, listed string
		clouds         []string
		data           *dataset.Data
		gone           bool // at once
	}{
		{"404", "yes", []string{graph, compute}, many, true},
		{"404", "no", []string{graph, compute}, few, true},
		{"FSS.0410", "yes", []string{graph}, few, true},
		{"FSS.1051", "yes", []string{graph}, few, true},
		{"FSS.1052", "yes", []string{graph}, few, true},
		{"ServiceNotFound", "yes", []string{compute}, few, true},
		{"401", "no", []string{graph, compute}, many, false},
		{"403", "no", []string{graph, compute}, few, false},
		{"500", "no", []string{graph, compute}, few, false},
	} {
		for _, cloud := range c.clouds {
			t.Run(cloud+" "+c.answer+" listed "+c.listed, func(t *testing.T) {
				t.Parallel()
				now := clocktest.New(time.Now()) // of the source; a signature is valid for 15 minutes
				api := faulty(t, c.data, "gone=0.01,gone-after=5m,gone-answer="+c.answer+",gone-listed="+c.listed, now.Now)
				url := newServer(t, api)
				in := install(t, url)
				archiver := in.small(cloud, url, 0, time.Minute)
				read := func() ending {
					return archiveIn(t, archiver, archive.Order{AskedBy: "backfill", Range: theDaySpan(), Force: true})
				}
				if end := read(); end.code != exitDone {
					t.Fatalf("exit %d: %s", end.code, end.stderr)
				}
				now.Advance(6 * time.Minute)
				if end := read(); end.code != exitDone {
					t.Errorf("once one is deleted: exit %d: %s", end.code, end.stderr)
				}
				gone := map[string]int64{"gone": 0, "missing": 0}
				if c.gone {
					gone["gone"] = 1
				} else {
					gone["missing"] = 1
				}
				if n := queryValue[int64](in, `SELECT count(*) FROM functions WHERE gone_at IS NOT NULL`); n != gone["gone"] {
					t.Errorf("%d functions are gone", n)
				}
				if n := queryValue[int64](in, `SELECT count(*) FROM functions WHERE missing_since IS NOT NULL AND gone_at IS NULL`); n != gone["missing"] {
					t.Errorf("%d functions are probably deleted", n)
				}
				complete := func(f simulate.FunctionInfo) int {
					return queryValue[int](in, `SELECT count(*) FROM window_coverage WHERE state = 'complete' AND function_urn ~ $1`, f.Name)
				}
				rows := queryValue[int](in, `SELECT count(*) FROM invocations`)
				records := 0
				for _, f := range api.Functions() {
					records += f.Records
					if n := complete(f); !f.Gone && n != 24 {
						t.Errorf("%s: %d complete windows", f.Name, n)
					}
				}
				if rows != records {
					t.Errorf("%d rows of %d records", rows, records)
				}
			})
		}
	}
}

// TestListCutOff reads sources whose list of functions counts more than it names, or
// cannot be read: what it names is archived, and the run is not complete.
func TestListCutOff(t *testing.T) {
	t.Parallel()
	data := generated(t, 30, 600, 7)
	api := faulty(t, data, "lists=10", nil)
	in := install(t, newServer(t, api))
	end := archiveDay(in, "", asBinary, theDaySpan())
	if end.code != exitIncomplete || !strings.Contains(end.stderr, "counts 30 functions and lists 10") {
		t.Errorf("exit %d: %s", end.code, end.stderr)
	}
	if states := counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`); len(states) != 1 || states["complete"] != 240 {
		t.Errorf("windows %v", states)
	}
	code, stdout, stderr := in.run(nil, "status")
	if !strings.Contains(stdout, "30 functions") || !strings.Contains(stdout, "10") {
		t.Errorf("status: exit %d: %s%s", code, stdout, stderr)
	}
}

// TestListRefused archives a function by its URN where listing functions is refused.
func TestListRefused(t *testing.T) {
	t.Parallel()
	data := generated(t, 5, 500, 7)
	api := faulty(t, data, "list-denied", nil)
	url := newServer(t, api)
	named := api.Functions()[1]
	for cloud, urn := range map[string]string{
		graph: named.URN, compute: "acs:fc:cn-hangzhou:" + testAccount + ":services/default/functions/" + named.Name,
	} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			in := install(t, url)
			if cloud == compute {
				in = in.ofAlibaba(url)
			}
			code, _, stderr := in.run(quickly, "backfill", "--from", "2026-03-29", "--to", "2026-03-30")
			if code != exitIncomplete || !strings.Contains(stderr, "403") {
				t.Errorf("without a name: exit %d: %s", code, stderr)
			}
			code, _, stderr = in.run(quickly, "backfill", "--from", "2026-03-29", "--to", "2026-03-30", "--function", urn)
			rows := queryValue[int](in, `SELECT count(*) FROM invocations`)
			if states := counts(in, `SELECT state, count(*) FROM window_coverage GROUP BY 1`); code != exitDone || rows != named.Records || states["complete"] != 24 || len(states) != 1 {
				t.Errorf("by its URN: exit %d, %d rows of %d, windows %v: %s", code, rows, named.Records, states, stderr)
			}
		})
	}
}
