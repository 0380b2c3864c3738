package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Prometheus' own tool reads the configuration, the rules, and the tests of the
// alerts.
func TestPrometheusFiles(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"check", "config", filepath.Join("prometheus", "prometheus.yml")},
		{"check", "rules", "--lint=all", "--lint-fatal", filepath.Join("prometheus", "alerts.yml")},
		{"test", "rules", filepath.Join("prometheus", "alerts_test.yml")},
	} {
		if out := tool(t, "promtool", args...); !strings.Contains(out, "SUCCESS") {
			t.Errorf("promtool %s:\n%s", strings.Join(args, " "), out)
		}
	}
	rules, err := os.ReadFile(filepath.Join("prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(filepath.Join("prometheus", "alerts_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("..", "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	for _, a := range alerts {
		name := a[1]
		// One of its tests has it fire, another keep silent.
		silent := regexp.MustCompile(`\{eval_time: \w+, alertname: ` + name + `\}`)
		fires := regexp.MustCompile(`alertname: ` + name + `\n +exp_alerts:\n +- exp_labels`)
		if !silent.Match(tests) || !fires.Match(tests) {
			t.Errorf("%s is not tested both ways", name)
		}
		if !strings.Contains(string(doc), "\n### "+name+"\n") {
			t.Errorf("docs/monitoring.md does not say what to do at %s", name)
		}
	}
}
