package metrics

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"archiver/internal/archive/clocktest"
	"archiver/internal/extract"
	"archiver/internal/load/read"
)

// everything returns the names and label values of all metrics of a process.
func everything(t *testing.T) (names []string, words map[string][]string) {
	t.Helper()
	m := New("test")
	m.Begin("shop", extract.Outcomes, time.Hour, time.Hour)
	m.Clocks("shop", 0)
	hour := time.Hour
	judged := read.Verdict{Sources: []read.SourceVerdict{{Source: read.Source{Name: "shop", PassEvery: &hour, LastSuccess: &noon, NextAttempt: &noon}}}}
	m.Watch(&fakeReader{overview: read.Overview{Verdict: judged, Sources: []read.SourceOverview{{
		Name: "shop", OldestIncomplete: &noon, OldestDue: &noon, OldestInFlight: &noon,
	}}}}, read.Times{}, clocktest.New(noon), quiet)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	words = make(map[string][]string)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "archiver_") {
			continue
		}
		names = append(names, f.GetName())
		for _, series := range f.GetMetric() {
			for _, label := range series.GetLabel() {
				words[label.GetName()] = append(words[label.GetName()], label.GetValue())
			}
		}
	}
	return names, words
}

var (
	name = regexp.MustCompile(`\barchiver_[a-z0-9_]+`)
	// A comparison with a label's value, in PromQL or in JSON.
	matcher = regexp.MustCompile(`\b(state|outcome|result|about)=~?\\?"([a-z_|]+)\\?"`)
)

// Dashboards, alerts and docs use only existing metrics and label values. The
// docs describe each metric.
func TestWatchersUseExistingMetrics(t *testing.T) {
	t.Parallel()
	names, words := everything(t)
	root := filepath.Join("..", "..")
	boards, err := filepath.Glob(filepath.Join(root, "deploy", "grafana", "dashboards", "*.json"))
	if err != nil || len(boards) == 0 {
		t.Fatal("no dashboard found", err)
	}
	doc := filepath.Join(root, "docs", "monitoring.md")
	files := append(boards, filepath.Join(root, "deploy", "prometheus", "alerts.yml"), filepath.Join(root, "deploy", "prometheus", "alerts_test.yml"), doc)
	watched := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range name.FindAllString(string(text), -1) {
			base := found
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if cut, ok := strings.CutSuffix(found, suffix); ok {
					base = cut
				}
			}
			if found == "archiver_reader" || found == "archiver_internal" { // of the database
				continue
			}
			if !slices.Contains(names, base) {
				t.Errorf("%s uses the unknown metric %s", file, found)
			}
			if file != doc {
				watched[base] = true
			}
		}
		for _, found := range matcher.FindAllStringSubmatch(string(text), -1) {
			for word := range strings.SplitSeq(found[2], "|") {
				if !slices.Contains(words[found[1]], word) {
					t.Errorf("%s uses the unknown %s %s", file, found[1], word)
				}
			}
		}
		if file == doc {
			for _, n := range names {
				if !strings.Contains(string(text), "| `"+n+"` |") {
					t.Errorf("%s is not described in %s", n, file)
				}
			}
		}
	}
	for _, n := range names {
		if !watched[n] && n != "archiver_rejected_records" {
			t.Errorf("no dashboard or alert uses %s", n)
		}
	}
}
