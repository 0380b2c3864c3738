package completeness

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive"
)

// Every version is read, and each record is in the archive once: if each list has the
// records of its own version ("own"), if each list has the records of all versions
// ("whole"), and if only the list of the latest has the records of all ("latest").
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"own", "whole", "latest"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newVersioned(t, "versions="+mode)
			_, calls, err := w.pass(t)
			if err != nil {
				t.Fatal(err)
			}
			of := w.holds(t)
			if own := mode == "own"; (of["v1"] > 0) != own || (of["v2"] > 0) != own || of["latest"] == 0 {
				t.Errorf("records by version: %v", of)
			}
			if calls["latest versions"] != 3 || calls["latest aliases"] != 3 {
				t.Errorf("%v", calls)
			}
			// One call gives the settings of all versions.
			if calls["latest async-invoke-configs"] != 3 || calls["v1 async-invoke-configs"]+calls["v2 async-invoke-configs"] > 0 {
				t.Errorf("asked for settings: %v", calls)
			}
			if n := w.count(t, `SELECT 'all', count(*) FROM notification_settings`); n["all"] != 9 {
				t.Errorf("%v settings", n)
			}
			// In the next hour nothing is listed again, and every version is read.
			w.clock.Advance(time.Hour)
			_, calls, err = w.pass(t)
			if err != nil {
				t.Fatal(err)
			}
			w.holds(t)
			for name := range calls {
				if !strings.HasSuffix(name, "async-invocations") && name != " " {
					t.Errorf("%s was asked for", name)
				}
			}
			for _, version := range []string{"latest", "v1", "v2"} {
				if n := calls[version+" async-invocations"]; n < 3 {
					t.Errorf("%d calls for the windows of %s, of three functions", n, version)
				}
			}
			// The source's counts are those of the archive.
			if _, _, err = w.pass(t, verifying); err != nil {
				t.Error(err)
			}
			// A day later the versions are listed again.
			w.clock.Advance(24 * time.Hour)
			_, calls, err = w.pass(t)
			if err != nil || calls["latest versions"] != 3 {
				t.Errorf("%v after %v", err, calls)
			}
			w.holds(t)
		})
	}
}

// A run asks as seldom for a version without records as for a function without records.
func TestEmptyVersionRests(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=own")
	bend(t, w).pages = func(q archive.Query, p *archive.Page) {
		if ofVersion(q, "v2") {
			*p = archive.Page{Last: true}
		}
	}
	run := func(o *archive.Order) { o.Rest = true }
	w.clock.Advance(48 * time.Hour)
	if _, _, err := w.pass(t, run); err != nil {
		t.Fatal(err)
	}
	asked := make(map[string]int)
	for range 6 {
		w.clock.Advance(time.Hour)
		_, calls, err := w.pass(t, run)
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []string{"v1", "v2"} {
			asked[version] += calls[version+" async-invocations"]
		}
	}
	if asked["v2"] == 0 || asked["v2"] > 3 {
		t.Errorf("three empty versions were asked for %d times in six hours", asked["v2"])
	}
	if n := w.count(t, statesOfVersions); n["v2 complete"] < 3*54 || len(n) != 3 {
		t.Errorf("%v", n)
	}
}

// With --versions latest only the latest versions are asked for. The other versions
// that the archive knows stay in it.
func TestVersionsLatest(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=own")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	before := w.holds(t)
	w.archiver.Versions = nil
	w.clock.Advance(48 * time.Hour)
	_, calls, err := w.pass(t)
	if err != nil {
		t.Fatal(err)
	}
	for name := range calls {
		if name != " " && !strings.HasPrefix(name, "latest async-invo") && name != " functions" {
			t.Errorf("%s was asked for", name)
		}
	}
	after := w.count(t, `SELECT split_part(function_urn, ':', 8), count(*) FROM invocation_history GROUP BY 1`)
	if after["v1"] != before["v1"] || after["latest"] <= before["latest"] {
		t.Errorf("%v before, %v after", before, after)
	}
}

// A deleted version keeps its history. Aliases can be queried by SQL.
func TestVersionsGone(t *testing.T) {
	t.Parallel()
	w := newVersioned(t, "versions=own")
	if _, _, err := w.pass(t); err != nil {
		t.Fatal(err)
	}
	before := w.holds(t)
	aliases := w.count(t, `SELECT function_name || ' ' || alias_name || ' ' || a.version || ' ' || (additional_versions->>'v2'), 1
		  FROM function_aliases a JOIN functions USING (function_id)`)
	if len(aliases) != 3 {
		t.Errorf("aliases: %v", aliases)
	}
	if n := w.count(t, `SELECT 'live', count(*) FROM function_versions WHERE version = 'v1' AND aliases = '{live}'`); n["live"] != 3 {
		t.Errorf("versions with their alias: %v", n)
	}
	w.mu.Lock()
	w.gone["v1"] = true
	w.mu.Unlock()
	w.clock.Advance(time.Hour)
	summary, _, err := w.pass(t)
	if err != nil || summary.Gone == 0 {
		t.Errorf("%+v, %v", summary.Totals, err)
	}
	after := w.count(t, `SELECT split_part(function_urn, ':', 8), count(*) FROM invocation_history GROUP BY 1`)
	if after["v1"] != before["v1"] {
		t.Errorf("%v before, %v after", before, after)
	}
	w.clock.Advance(time.Hour)
	if _, calls, err := w.pass(t); err != nil || calls["v1 async-invocations"] != 0 {
		t.Errorf("%v, asked for what is gone: %v", err, calls)
	}
}

// If a list of versions fails, the run counts one failed call and archives all else. A
// source without such lists causes no error.
func TestVersionsUnlisted(t *testing.T) {
	t.Parallel()
	for status, left := range map[int]bool{
		http.StatusForbidden: true, http.StatusBadRequest: true,
		http.StatusNotFound: false, http.StatusMethodNotAllowed: false, http.StatusNotImplemented: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := newVersioned(t, "versions=whole")
			w.fail["versions"] = func() int { return status }
			summary, _, err := w.pass(t)
			if (err != nil) != left || (summary.Left > 0) != left {
				t.Errorf("%d left, %v", summary.Left, err)
			}
			w.holds(t)
			delete(w.fail, "versions")
			w.clock.Advance(25 * time.Hour)
			if _, calls, err := w.pass(t); err != nil || calls["latest versions"] != 3 {
				t.Errorf("%v after %v", err, calls)
			}
		})
	}
}
