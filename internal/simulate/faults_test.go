package simulate_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

func TestParseFaults(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{
		"", " ", "borders=none", " borders=left-open , cap=7", "mix,times=z", "unusable,nul=0.5,arrive,rise=2.5",
		"late=10m,late-share=0.2", "429=0.5,reset=0.5", "trouble", "trouble=1", "deny=1,retry-after=0,seed=18446744073709551615",
	} {
		f, err := simulate.ParseFaults(spec)
		if err != nil || f.String() != strings.TrimSpace(spec) {
			t.Errorf("%q: %q, %v", spec, f, err)
		}
	}
	for spec, want := range map[string]string{
		"bordres=none":               `no fault is named "bordres": is it borders?`,
		"NUL":                        `no fault is named "NUL": it is one of borders, filter,`,
		"nowhere-at-all":             `no fault is named "nowhere-at-all": it is one of borders,`,
		"a-thing-that-is-nowhere":    "it is one of borders, filter, order, cap, only,",
		"cap=1,,nul":                 `no fault is named ""`,
		"borders=open":               "fault borders=open: it is one of both, none, left-open, right-open",
		"borders=left-opne":          "fault borders=left-opne: is it left-open?",
		"borders":                    "fault borders needs a value: borders=both|none|left-open|right-open",
		"late":                       "fault late needs a value: late=a duration such as 90s or 10m",
		"late=10":                    "fault late=10: it is not a duration such as 90s or 10m",
		"late=-1s":                   "it is not a duration",
		"nul=":                       "fault nul needs a value: nul=SHARE",
		"nul=2":                      "fault nul=2: it is not a number from 0 to 1",
		"trouble=1.5":                "it is not a number from 0 to 1",
		"nul=NaN":                    "it is not a number from 0 on",
		"nul=-0.1":                   "it is not a number from 0 on",
		"rise=501":                   "fault rise=501: it is higher than 500",
		"cap=0":                      "fault cap=0: it is not a whole number from 1 on",
		"deny=x":                     "fault deny=x: it is not a whole number from 1 on",
		"seed=-1":                    "fault seed=-1: it is not a whole number from 0 on",
		"mix=no":                     "fault mix=no: its only value is yes",
		"null-list=0":                "its only value is yes",
		"nul=0.1,extra=0.1,nul=0.2":  "fault nul is given twice",
		"500=0.4,502=0.4,reset=0.21": "the shares of disturbed calls add up to 1.01",
	} {
		if _, err := simulate.ParseFaults(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", spec, err, want)
		}
	}
}

// Each line of the list is a switch, with help.
func TestFaultsHelp(t *testing.T) {
	t.Parallel()
	_, list, _ := strings.Cut(simulate.FaultsHelp(), "\n\n")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) < 40 {
		t.Errorf("only %d lines:\n%s", len(lines), list)
	}
	for _, line := range lines {
		usage, help, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ := strings.Cut(usage, "=")
		if strings.TrimSpace(help) == "" {
			t.Errorf("no help: %s", line)
		}
		if _, err := simulate.ParseFaults(name + "=?"); err == nil || !strings.HasPrefix(err.Error(), "fault "+name+"=?: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFaults(f *testing.F) {
	f.Add("mix,borders=none,late=1m,500=0.5,seed=1")
	f.Fuzz(func(t *testing.T, spec string) {
		if _, err := simulate.ParseFaults(spec); err != nil && err.Error() == "" {
			t.Error("an error without text")
		}
	})
}

// With a switch that does not apply, answers equal those of a server without
// faults, byte for byte.
func TestFaultsLeaveTheRest(t *testing.T) {
	t.Parallel()
	now := &clock{now: noon}
	for name, d := range map[string]*dataset.Data{"one day": generate(t, 2, 3000), "live": live(t, 2, 8000, now)} {
		plain, _ := serve(t, d, at(now))
		faulty, _ := serve(t, d, at(now), with(t, "cap=500"))
		status := "&status="
		for _, query := range []string{
			"", "limit=500", "limit=500&marker=3", "marker=99999", wholeDay, wholeDay + status + "FAIL", status + "RUNNING",
			status + "WAIT", "query_begin_time=2026-03-14T11:59:00&limit=500", "query_end_time=2026-03-14T11:30:00", "limit=x",
		} {
			for function := range d.Functions() {
				path := "/v2/" + projectID + "/fgs/functions/" + plain.Functions()[function].URN + "/async-invocations?" + query
				if want, got := get(plain, path).Body.String(), get(faulty, path).Body.String(); got != want {
					t.Errorf("%s: %s (-without +with):\n%s", name, query, cmp.Diff(want, got))
				}
			}
		}
		for function := range d.Functions() {
			want := collect(d)[function]
			for _, s := range []*simulate.Server{plain, faulty} {
				if got := truth(s, function); !slices.Equal(want, got) {
					t.Errorf("%s: (-data +truth):\n%s", name, cmp.Diff(want, got))
				}
			}
		}
	}
}

// The faults depend on the seed: the data's or the one given.
func TestFaultSeed(t *testing.T) {
	t.Parallel()
	d := generate(t, 1, 500)
	first, _ := serve(t, d, with(t, "statuses"))
	again, _ := serve(t, d, with(t, "statuses"))
	own, _ := serve(t, d, with(t, "statuses,seed=1"))
	other, _ := serve(t, d, with(t, "statuses,seed=2"))
	if diff := cmp.Diff(truth(first, 0), truth(again, 0)); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
	if diff := cmp.Diff(truth(first, 0), truth(own, 0)); diff != "" {
		t.Errorf("(-default +seed 1):\n%s", diff)
	}
	if cmp.Equal(truth(first, 0), truth(other, 0)) {
		t.Error("another seed draws the same")
	}
}

func at(c *clock) func(*simulate.Options) {
	return func(o *simulate.Options) { o.Now = c.Now }
}

// with sets a server's faults.
func with(t testing.TB, spec string) func(*simulate.Options) {
	t.Helper()
	f, err := simulate.ParseFaults(spec)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *simulate.Options) { o.Faults = f }
}

// faulty is a server with faults. Its clock is set to a minute after the day.
func faulty(t testing.TB, d *dataset.Data, spec string) (*simulate.Server, *clock) {
	t.Helper()
	now := &clock{now: day.Add(24*time.Hour + time.Minute)}
	s, _ := serve(t, d, at(now), with(t, spec))
	return s, now
}
